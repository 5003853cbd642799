{{ config(
    unique_key=['service_name', 'version'],
    meta={'publish': {'period': 'all'}}
) }}
with crowded as (
    select *
    from (
        select
            service_name, date, version, players,
            sum(players) over (partition by service_name, date) as service_players,
            {{ ratio('players', 'sum(players) over (partition by service_name, date)') }} as share_of_players
        from {{ ref('version_active_players') }}
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
-- From the release on: a tester had it before.
releases as (
    select
        o.service_name, o.version, o.release_date,
        coalesce(min(d.first_seen_at), cast(o.release_date as timestamp)) as released_at
    from {{ ref('version_order') }} o
    left join {{ ref('version_days') }} d
        on d.service_name = o.service_name and d.version = o.version and d.date >= o.release_date
    where o.is_released
    group by o.service_name, o.version, o.release_date
),
-- In the order of time: a fix of an old branch is a release as well.
in_time as (
    select
        service_name, version, release_date,
        lag(release_date) over (partition by service_name order by release_date, {{ by_bytes('version') }})
            as release_before,
        lead(release_date) over (partition by service_name order by release_date, {{ by_bytes('version') }})
            as release_after
    from releases
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
        avg(cast(release_date - release_before as double precision)) as days_mean,
        {{ median_of('release_date - release_before') }} as days_median
    from in_time
    group by service_name
),
-- What was out when the data begins came out some time before: nobody knows the days after it.
gaps as (
    select
        i.service_name,
        i.release_date - i.release_before as days,
        row_number() over (partition by i.service_name order by i.release_date, {{ by_bytes('i.version') }}) as place
    from in_time i
    join (
        select service_name, min(date) as date from {{ ref('version_active_players') }} group by service_name
    ) s on s.service_name = i.service_name
    where i.release_before > s.date
),
gap_sums as (
    select
        service_name,
        cast(count(*) as double precision) as n,
        cast(sum(place * days) as double precision) as sum_iy,
        cast(sum(days) as double precision) as sum_y,
        cast(sum(days * days) as double precision) as sum_yy
    from gaps
    group by service_name
),
trends as (
    select service_name, n, {{ slope('n', 'sum_iy', 'sum_y', 'sum_yy', 'trend') }} from gap_sums
)
select
    o.service_name, o.version, o.version_sort_key, o.release_state, o.release_date, o.release_number,
    o.previous_version, o.is_newest,
    o.first_seen_at, o.last_seen_at,
    coalesce(s.players, 0) as players,
    cast(i.release_date - i.release_before as bigint) as days_since_previous_release,
    cast(i.release_after - i.release_date as bigint) as days_until_next_release,
    p.peak_share_of_players, p.peak_date,
    h.half_adoption_date,
    case
        when r.reached_at < a.released_at then 0
        else {{ seconds_between('a.released_at', 'r.reached_at') }} / 3600
    end as hours_to_half_adoption,
    coalesce(v.service_releases, 0) as service_releases,
    v.days_mean as service_days_between_releases_mean,
    v.days_median as service_days_between_releases_median,
    cast(coalesce(d.n, 0) as bigint) as service_gaps,
    case when d.n >= {{ var('minimum_gaps') }} then d.trend end as service_gap_trend_days,
    case when d.n >= {{ var('minimum_gaps') }} then d.trend_low end as service_gap_trend_days_low,
    case when d.n >= {{ var('minimum_gaps') }} then d.trend_high end as service_gap_trend_days_high,
    case
        when d.n >= {{ var('minimum_gaps') }} and d.trend_high < 0 then 'more often'
        when d.n >= {{ var('minimum_gaps') }} and d.trend_low > 0 then 'less often'
        else 'cannot tell'
    end as service_cadence
from {{ ref('version_order') }} o
{{ join_bundled('b', 'o', "'version'", 'o.version') }}
left join sighted s on s.service_name = o.service_name and s.version = o.version
left join peaks p on p.service_name = o.service_name and p.version = o.version
left join halves h on h.service_name = o.service_name and h.version = o.version
left join reached r on r.service_name = o.service_name and r.version = o.version
left join releases a on a.service_name = o.service_name and a.version = o.version
left join in_time i on i.service_name = o.service_name and i.version = o.version
left join services v on v.service_name = o.service_name
left join trends d on d.service_name = o.service_name
where b.name is null and o.service_name not in (select service_name from {{ ref('bundled_services') }})
