-- What is folded over all days of the benchmark's world, as of the variable `through`.
create or replace temp view intervals as
with seen as (
    select player_id, service_name, device, version, event_at
    from bench.sightings
    where ingest_hour <= getvariable('through')
    qualify row_number() over (
        partition by player_id, service_name, device, event_at order by version desc
    ) = 1
),
changes as (
    select * from seen
    qualify version is distinct from lag(version) over (
        partition by player_id, service_name, device order by event_at
    )
)
select
    player_id, service_name, device, version, event_at as valid_from,
    lead(event_at) over (partition by player_id, service_name, device order by event_at) as valid_to
from changes;

create or replace temp view histories as
select
    player_id,
    arg_max(version, event_at) as current_version,
    arg_max(device, event_at) as current_device,
    arg_max(service_name, event_at) as current_service,
    min(event_at) as first_seen_at,
    max(event_at) as last_seen_at,
    count(distinct version) as version_count
from bench.sightings
where ingest_hour <= getvariable('through')
group by player_id;

create or replace temp view ledger as
select
    hour::date as p_ingest_date_utc, hour(hour)::integer as p_ingest_hour_utc,
    source, 'processed' as status, 1::bigint as files, 1000::bigint as lines, 1000::bigint as rows
from range(timestamp '2026-01-01', getvariable('through') + interval 1 hour, interval 1 hour) as hours (hour),
    (select source from lake.sources) as sources;

create or replace temp view streams as
select
    studio, game, hour,
    (hash(game, hour) % 1000)::double as average_viewers,
    (hash(game, hour) % 3000)::bigint as peak_viewers,
    7::bigint as channels,
    5.5::double as hours_streamed
from range(timestamp '2026-01-01', getvariable('through') + interval 1 hour, interval 1 hour) as hours (hour),
    (select studio, game from lake.sources where kind = 'telemetry') as games;
