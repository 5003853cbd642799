{{ config(
    unique_key=['date', 'studio', 'game', 'platform'],
    meta={'window': {'relation': 'affected_trailing_dates', 'period': 'date', 'column': 'date'}}
) }}
-- A player counts in a trailing window from an active day until the window has passed or the next
-- active day takes over: one step up and one down instead of a distinct count for every date.
with gaps as (
    select
        date, studio, game, platform, next_date,
        coalesce(next_date, date + 30) as until_date,
        count(*) as players
    from {{ ref('next_days') }}
    where {{ in_window('date', ref('affected_trailing_dates'), 'date', days_before=29) }}
    group by date, studio, game, platform, next_date
),
grain_first_dates as (
    select studio, game, platform, first_date, today
    from {{ ref('grain_first_dates') }} cross join {{ ref('processed_through') }}
),
grain_dates as ({{ spread_dates('grain_first_dates', 'studio, game, platform', 'first_date', 'today') }}),
steps as (
    select date, studio, game, platform, 0 as wau, 0 as mau, 0 as back
    from grain_dates
    where {{ in_window('date', ref('affected_trailing_dates'), 'date') }}
    union all
    select date, studio, game, platform, players, players, 0 from gaps
    union all
    select least(date + 7, until_date), studio, game, platform, -players, 0, 0 from gaps
    union all
    select until_date, studio, game, platform, 0, -players, 0 from gaps
    union all
    select next_date, studio, game, platform, 0, 0, players from gaps where next_date < date + 28
),
summed as (
    select
        date, studio, game, platform,
        (sum(sum(wau)) over (
            partition by studio, game, platform order by date rows unbounded preceding
        ))::bigint as wau,
        (sum(sum(mau)) over (
            partition by studio, game, platform order by date rows unbounded preceding
        ))::bigint as mau,
        sum(back)::bigint as seen_before
    from steps
    group by date, studio, game, platform
)
select date, studio, game, platform, wau, mau, seen_before
from summed
cross join {{ ref('processed_through') }}
where mau > 0 and date <= today
    and {{ in_window('date', ref('affected_trailing_dates'), 'date') }}
