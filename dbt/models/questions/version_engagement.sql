{{ config(
    unique_key=['service_name', 'version'],
    meta={'publish': {'period': 'all'}}
) }}
with last_full as (
    select now_at::date - 1 as last_date from {{ ref('processed_through') }}
),
listed as (
    select o.*
    from {{ ref('version_order') }} o
    join {{ ref('active_versions') }} a on a.service_name = o.service_name and a.version = o.version
),
used as (
    select service_name, version, players, player_days as active_player_days, sessions, playtime_seconds, revenue_usd
    from {{ ref('recent_versions') }}
),
per_player as (
    select
        service_name, version,
        cast(active_playtime_seconds as double precision) / active_days as playtime_per_day
    from {{ ref('recent_version_players') }}
    where active_days > 0
),
playtimes as (
    select service_name, version, {{ moments('playtime_per_day', 'playtime') }}
    from per_player
    group by service_name, version
),
-- A player's first day on a version, upgrades and installs alike.
firsts as (
    select service_name, player_id, version, min(valid_from)::date as day_0
    from {{ ref('stg_user_version_intervals') }}
    group by service_name, player_id, version
),
joining as (
    select f.*
    from firsts f
    cross join last_full
    where f.day_0 > last_date - 35 and f.day_0 <= last_date
),
-- Whoever came back is found in one pass over the service's days, by either day.
returned as (
    select
        j.service_name, j.version,
        count(case when d.date = j.day_0 + 1 then 1 end) as retained_d1,
        count(case when d.date = j.day_0 + 7 then 1 end) as retained_d7
    from joining j
    cross join last_full
    join {{ ref('service_player_days') }} d
        on d.service_name = j.service_name and d.player_id = j.player_id and d.is_active
        and d.date - j.day_0 in (1, 7) and d.date <= last_date
        and {{ since_days_before('d.date', 36) }}
    group by j.service_name, j.version
),
reached as (
    select
        service_name, version,
        count(case when day_0 + 1 <= last_date then 1 end) as players_d1,
        count(case when day_0 + 7 <= last_date then 1 end) as players_d7
    from joining
    cross join last_full
    group by service_name, version
),
retained as (
    select
        n.service_name, n.version, n.players_d1, n.players_d7,
        case when n.players_d1 > 0 then coalesce(b.retained_d1, 0) end as retained_d1,
        case when n.players_d7 > 0 then coalesce(b.retained_d7, 0) end as retained_d7
    from reached n
    left join returned b on b.service_name = n.service_name and b.version = n.version
),
-- Each player once, on their last version of the period: whoever moves on has not churned from the old one.
last_days_on_version as (
    select service_name, version, player_id, date as last_day
    from (
        select
            v.service_name, v.version, v.player_id, v.date,
            row_number() over (partition by v.service_name, v.player_id order by v.date desc) as place
        from {{ ref('version_player_days') }} v
        cross join last_full
        where v.is_active and v.date > last_date - 56 and v.date <= last_date - 28
            and {{ since_days_before('v.date', 58) }}
    ) as placed
    where place = 1
),
seen_again as (
    select
        l.service_name, l.version, l.player_id,
        max(case when d.player_id is not null then 1 else 0 end) as is_seen
    from last_days_on_version l
    left join {{ ref('service_player_days') }} d
        on d.service_name = l.service_name and d.player_id = l.player_id and d.is_active
        and d.date > l.last_day and d.date <= l.last_day + 28
        and {{ since_days_before('d.date', 58) }}
    group by l.service_name, l.version, l.player_id
),
churned as (
    select
        service_name, version,
        count(*) as players_churn_28,
        count(case when is_seen = 0 then 1 end) as churned
    from seen_again
    group by service_name, version
),
-- How those who moved to a version within 7 days of its release played before it, and the others.
before as (
    select
        v.service_name, v.version, d.player_id,
        cast(sum(d.playtime_seconds) as double precision) / count(*) as playtime_per_day
    from listed v
    cross join last_full
    join {{ ref('service_player_days') }} d
        on d.service_name = v.service_name and d.is_active
        and d.date >= v.release_date - 28 and d.date < v.release_date
    where v.release_date + 6 <= last_date
    group by v.service_name, v.version, d.player_id
),
moved as (
    select
        b.service_name, b.version,
        coalesce(f.day_0 <= v.release_date + 6, false) as is_adopter,
        b.playtime_per_day
    from before b
    join listed v on v.service_name = b.service_name and v.version = b.version
    left join firsts f
        on f.service_name = b.service_name and f.version = b.version and f.player_id = b.player_id
),
sides as (
    select
        service_name, version,
        {{ moments('case when is_adopter then playtime_per_day end', 'adopters') }},
        {{ moments('case when not is_adopter then playtime_per_day end', 'others') }}
    from moved
    group by service_name, version
),
means as (
    select
        service_name, version, adopters_n, others_n,
        {{ mean_of('adopters') }} as adopters_mean,
        {{ mean_variance_of('adopters') }} as adopters_variance,
        {{ mean_of('others') }} as others_mean,
        {{ mean_variance_of('others') }} as others_variance
    from sides
),
contrasts as (
    select
        *,
        {{ difference_of_means('adopters_mean', 'adopters_variance', 'adopters_n',
            'others_mean', 'others_variance', 'others_n', 'contrast') }}
    from means
)
select
    o.service_name, o.version, o.version_sort_key, o.release_state, o.release_date, o.release_number, o.previous_version, o.is_newest,
    coalesce(u.players, 0) as players,
    coalesce(u.active_player_days, 0) as active_player_days,
    coalesce(u.sessions, 0) as sessions,
    {{ ratio('u.active_player_days', 'u.players') }} as active_days_per_player,
    {{ ratio('u.sessions', 'u.active_player_days') }} as sessions_per_player_day,
    {{ ratio('u.playtime_seconds', 'u.sessions') }} as session_length_mean_seconds,
    {{ mean('p.playtime', 'playtime_per_player_day_seconds') }},
    cast(coalesce(u.revenue_usd, 0) as double precision) as revenue_usd,
    {{ ratio('u.revenue_usd', 'u.active_player_days') }} as arpdau_usd,
    coalesce(r.players_d1, 0) as players_d1,
    {{ share('r.retained_d1', 'r.players_d1', 'retention_d1') }},
    coalesce(r.players_d7, 0) as players_d7,
    {{ share('r.retained_d7', 'r.players_d7', 'retention_d7') }},
    coalesce(c.players_churn_28, 0) as players_churn_28,
    {{ share('c.churned', 'c.players_churn_28', 'churn_28') }},
    coalesce(x.adopters_n, 0) as adopters,
    x.adopters_mean as adopters_prior_playtime_seconds,
    x.others_mean as others_prior_playtime_seconds,
    case
        when {{ is_enough('x.adopters_n') }} and {{ is_enough('x.others_n') }}
        then coalesce({{ is_beyond_chance('x.contrast') }}, false)
    end as adopters_differ,
    {{ is_enough('coalesce(u.players, 0)') }} as has_enough_data
from listed o
left join used u on u.service_name = o.service_name and u.version = o.version
left join playtimes p on p.service_name = o.service_name and p.version = o.version
left join retained r on r.service_name = o.service_name and r.version = o.version
left join churned c on c.service_name = o.service_name and c.version = o.version
left join contrasts x on x.service_name = o.service_name and x.version = o.version
