{{ config(
    unique_key=['service_name', 'version'],
    meta={'publish': {'period': 'all'}}
) }}
with crowded as (
    select *
    from (
        select
            service_name, date, version, players, share_of_players,
            sum(players) over (partition by service_name, date) as service_players
        from {{ ref('version_adoption') }}
    ) as days
    where service_players >= 10
),
peaks as (
    select service_name, version, date as peak_date, share_of_players as peak_share_of_players
    from (
        select
            *,
            row_number() over (partition by service_name, version order by share_of_players desc, date) as place
        from crowded
    ) as placed
    where place = 1
),
halves as (
    select o.service_name, o.version, min(c.date) as half_adoption_date
    from {{ ref('version_order') }} o
    join crowded c on c.service_name = o.service_name and c.version = o.version
    where c.date >= o.release_date and 2 * c.players >= c.service_players
    group by o.service_name, o.version
),
firsts as (
    select service_name, version, player_id, min(valid_from) as sighted_at
    from {{ ref('stg_user_version_intervals') }}
    group by service_name, version, player_id
),
-- When each of that date's players on the version came to it: the one who made up half tells the time.
arrivals as (
    select
        h.service_name, h.version, f.sighted_at,
        row_number() over (partition by h.service_name, h.version order by f.sighted_at) as place
    from halves h
    join {{ ref('version_player_days') }} d
        on d.service_name = h.service_name and d.version = h.version
        and d.date = h.half_adoption_date and d.is_active
    join firsts f
        on f.service_name = h.service_name and f.version = h.version and f.player_id = d.player_id
),
reached as (
    select a.service_name, a.version, min(a.sighted_at) as reached_at
    from arrivals a
    join halves h on h.service_name = a.service_name and h.version = a.version
    join crowded c
        on c.service_name = h.service_name and c.version = h.version and c.date = h.half_adoption_date
    where 2 * a.place >= c.service_players
    group by a.service_name, a.version
),
sighted as (
    select service_name, version, count(*) as players
    from firsts
    group by service_name, version
),
services as (
    select
        service_name,
        count(*) as service_releases,
        avg(cast(release_date - previous_release_date as double precision)) as days_mean,
        {{ median_of('release_date - previous_release_date') }} as days_median
    from {{ ref('version_order') }}
    group by service_name
)
select
    o.service_name, o.version, o.release_date, o.release_number, o.previous_version, o.is_newest,
    o.first_seen_at, o.last_seen_at,
    coalesce(s.players, 0) as players,
    cast(o.release_date - o.previous_release_date as bigint) as days_since_previous_release,
    cast(o.next_release_date - o.release_date as bigint) as days_until_next_release,
    p.peak_share_of_players, p.peak_date,
    h.half_adoption_date,
    {{ seconds_between('o.first_seen_at', 'r.reached_at') }} / 3600 as hours_to_half_adoption,
    v.service_releases,
    v.days_mean as service_days_between_releases_mean,
    v.days_median as service_days_between_releases_median
from {{ ref('version_order') }} o
left join sighted s on s.service_name = o.service_name and s.version = o.version
left join peaks p on p.service_name = o.service_name and p.version = o.version
left join halves h on h.service_name = o.service_name and h.version = o.version
left join reached r on r.service_name = o.service_name and r.version = o.version
left join services v on v.service_name = o.service_name
