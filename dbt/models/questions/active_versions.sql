{{ config(
    unique_key=['service_name', 'version'],
    meta={'publish': {'period': 'all'}}
) }}
{%- set recent %}
    from {{ ref('attributed_events') }}
    where version is not null and player_id is not null
        and event_at >= {{ now_at(28) }} and event_at < {{ now_at() }}
{%- endset %}
-- Sightings are found quickly and are many: read thrice, each time for what is counted.
with players as (
    select service_name, version, player_id, count(*) as sightings {{ recent }}
    group by service_name, version, player_id
),
versions as (
    select service_name, version, count(*) as players, cast(sum(sightings) as bigint) as sightings
    from players group by service_name, version
),
services as (
    select service_name, count(distinct player_id) as service_players
    from players group by service_name
),
recent_devices as (select distinct service_name, version, device {{ recent }}),
numbers_of_devices as (
    select service_name, version, count(*) as devices
    from recent_devices group by service_name, version
),
recent_sessions as (
    select distinct service_name, version, source, session_id, session_started_at {{ recent }}
        and session_started_at is not null
),
numbers_of_sessions as (
    select service_name, version, count(*) as sessions
    from recent_sessions group by service_name, version
)
select
    service_name,
    version,
    d.first_seen_at,
    d.last_seen_at,
    v.players,
    v.players::double precision / s.service_players as share_of_players,
    g.devices,
    coalesce(n.sessions, 0) as sessions,
    v.sightings
from versions v
join services s using (service_name)
join numbers_of_devices g using (service_name, version)
left join numbers_of_sessions n using (service_name, version)
join {{ ref('dim_version') }} d using (service_name, version)
