{{ config(
    unique_key=['service_name', 'version'],
    meta={'publish': {'period': 'all'}}
) }}
with recent as (
    select service_name, version, device, player_id, source, session_id, session_started_at
    from {{ ref('attributed_events') }}
    where version is not null and player_id is not null
        and event_at >= {{ now_at(28) }} and event_at < {{ now_at() }}
),
recent_sessions as (
    select distinct service_name, version, source, session_id, session_started_at
    from recent where session_started_at is not null
),
numbers_of_sessions as (
    select service_name, version, count(*) as sessions
    from recent_sessions group by service_name, version
),
services as (
    select service_name, count(distinct player_id) as service_players
    from recent group by service_name
),
versions as (
    select
        service_name,
        version,
        count(distinct player_id) as players,
        count(distinct device) as devices,
        count(*) as sightings
    from recent group by service_name, version
)
select
    service_name,
    version,
    d.first_seen_at,
    d.last_seen_at,
    v.players,
    v.players::double precision / s.service_players as share_of_players,
    v.devices,
    coalesce(n.sessions, 0) as sessions,
    v.sightings
from versions v
join services s using (service_name)
left join numbers_of_sessions n using (service_name, version)
join {{ ref('dim_version') }} d using (service_name, version)
