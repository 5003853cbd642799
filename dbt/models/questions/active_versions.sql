{{ config(
    unique_key=['service_name', 'version'],
    meta={'publish': {'period': 'all'}}
) }}
{%- set from_at, until_at = now_at(28), now_at() %}
-- These days begin and end within a date. What is known of dates counts all of them; of the first and the
-- last one the hours are asked.
with days as (
    select *
    from {{ ref('version_days') }}
    where date >= {{ from_at }}::date
),
outside as (
    select service_name, version, sightings, session_sightings
    from {{ ref('sighting_hours') }}
    where hour >= {{ from_at }}::date and hour < {{ from_at }}
    union all
    select service_name, version, sightings, session_sightings
    from {{ ref('sighting_hours') }}
    where hour >= {{ until_at }}
),
-- Every version that tables show as `other`, and under which service.
bundled as (
    select service_name, name, service_name as shown_service
    from {{ ref('bundled_names') }} where kind = 'version'
    union all
    select k.service_name, k.version, 'other'
    from {{ ref('known_versions') }} k
    join {{ ref('bundled_services') }} s on s.service_name = k.service_name
),
repeated as (
    select source, service_name, session_id, session_started_at, version, sum(sightings) as sightings
    from {{ ref('repeated_sightings') }}
    where hour >= {{ from_at }} and hour < {{ until_at }}
    group by source, service_name, session_id, session_started_at, version
),
parts as (
    select service_name, version, sightings, session_sightings as sessions from days
    union all
    select service_name, version, -sightings, -session_sightings from outside
    union all
    -- A session that was sighted again is one session.
    select service_name, version, 0, 1 - sightings from repeated
    union all
    -- So is one that was sighted with several versions of a bundle.
    select service_name, version, 0, 1 - versions
    from (
        select e.service_name, min({{ by_bytes('e.version') }}) as version, count(distinct e.version) as versions
        from repeated e
        join bundled b on b.service_name = e.service_name and b.name = e.version
        group by e.source, e.service_name, e.session_id, e.session_started_at
    ) as of_sessions
),
versions as (
    select
        coalesce(b.shown_service, p.service_name) as service_name, {{ shown_name('b', 'p.version') }} as version,
        cast(sum(p.sightings) as bigint) as sightings,
        cast(sum(p.sessions) as bigint) as sessions
    from parts p
    left join bundled b on b.service_name = p.service_name and b.name = p.version
    group by coalesce(b.shown_service, p.service_name), {{ shown_name('b', 'p.version') }}
),
numbers_of_devices as (
    select
        coalesce(b.shown_service, d.service_name) as service_name, {{ shown_name('b', 'd.version') }} as version,
        count(distinct d.device) as devices
    from days d
    left join bundled b on b.service_name = d.service_name and b.name = d.version
    where d.last_seen_at >= {{ from_at }} and d.first_seen_at < {{ until_at }}
    group by coalesce(b.shown_service, d.service_name), {{ shown_name('b', 'd.version') }}
),
seen as (
    select service_name, version, player_id
    from {{ ref('fact_version') }}
    where date > {{ from_at }}::date and date < {{ until_at }}::date
    union all
    select service_name, version, player_id
    from {{ ref('sighting_hours') }}
    where hour >= {{ from_at }} and hour < {{ from_at }}::date + 1
    union all
    select service_name, version, player_id
    from {{ ref('sighting_hours') }}
    where hour >= {{ until_at }}::date and hour < {{ until_at }}
),
players as (
    select
        coalesce(b.shown_service, s.service_name) as service_name, {{ shown_name('b', 's.version') }} as version,
        s.player_id
    from seen s
    left join bundled b on b.service_name = s.service_name and b.name = s.version
    group by coalesce(b.shown_service, s.service_name), {{ shown_name('b', 's.version') }}, s.player_id
),
numbers_of_players as (
    select service_name, version, count(*) as players from players group by service_name, version
),
services as (
    select service_name, count(*) as service_players
    from (select service_name, player_id from players group by service_name, player_id) as of_services
    group by service_name
)
select
    service_name,
    version,
    d.version_sort_key,
    d.first_seen_at,
    d.last_seen_at,
    p.players,
    p.players::double precision / s.service_players as share_of_players,
    g.devices,
    v.sessions,
    v.sightings
from numbers_of_players p
join versions v using (service_name, version)
join services s using (service_name)
join numbers_of_devices g using (service_name, version)
join {{ ref('dim_version') }} d using (service_name, version)
