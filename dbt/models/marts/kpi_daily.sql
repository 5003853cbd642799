{{ config(
    unique_key=['date', 'studio', 'game', 'platform'],
    meta={
        'window': {'relation': 'affected_kpi_dates', 'period': 'date', 'column': 'date'},
        'publish': {'period': 'date', 'column': 'date'}
    }
) }}
with grain_dates as (
    select unnest(generate_series(
        first_date::timestamp, today::timestamp, interval 1 day
    ))::date as date, studio, game, platform
    from {{ ref('grain_starts') }} cross join {{ ref('processed_through') }}
),
spine as (
    select * from grain_dates where {{ in_window('date', ref('affected_kpi_dates'), 'date') }}
),
days as (
    select *, lead(date) over (partition by studio, game, platform, player_id order by date) as next_date
    from {{ ref('player_days') }}
    where {{ in_window('date', ref('affected_kpi_dates'), 'date', days_before=29) }}
),
-- A player counts in a trailing window from an active day until the window has passed or the next
-- active day takes over: one step up and one down instead of a distinct count for every date.
steps as (
    select date, studio, game, platform, 0 as wau, 0 as mau from spine
    union all
    select date, studio, game, platform, 1, 1 from days
    union all
    select least(date + 7, coalesce(next_date, date + 7)), studio, game, platform, -1, 0 from days
    union all
    select least(date + 30, coalesce(next_date, date + 30)), studio, game, platform, 0, -1 from days
),
trailing_players as (
    select
        date, studio, game, platform,
        sum(sum(wau)) over grain::bigint as wau,
        sum(sum(mau)) over grain::bigint as mau
    from steps
    group by date, studio, game, platform
    window grain as (partition by studio, game, platform order by date)
),
daily_players as (
    select date, studio, game, platform, count(*) as dau
    from days group by date, studio, game, platform
),
new_players as (
    select first_active_date as date, studio, game, platform, count(*) as new_players
    from {{ ref('first_days') }}
    where {{ in_window('first_active_date', ref('affected_kpi_dates'), 'date') }}
    group by all
),
started as (
    select
        started_at::date as date,
        {{ grain_label('studio') }} as studio,
        {{ grain_label('game') }} as game,
        {{ grain_label('platform') }} as platform,
        duration_seconds,
        has_crash
    from {{ ref('stg_sessions') }}
    where {{ in_window('started_at', ref('affected_kpi_dates'), 'date') }}
),
sessions as (
    select
        date, {{ grain_columns() }},
        count(*) as sessions,
        sum(duration_seconds) as playtime_seconds,
        count(*) filter (where has_crash) as crashed_sessions
    from started group by {{ grain_sets(['date']) }}
),
purchases as (
    select
        event_at::date as date,
        {{ grain_label('studio') }} as studio,
        {{ grain_label('game') }} as game,
        {{ grain_label('platform') }} as platform,
        player_id,
        revenue_usd
    from {{ ref('attributed_events') }}
    where revenue_usd is not null
        and {{ in_window('event_at', ref('affected_kpi_dates'), 'date') }}
),
nets as (
    select date, {{ grain_columns() }}, player_id, sum(revenue_usd) as net_usd
    from purchases group by {{ grain_sets(['date', 'player_id']) }}
),
revenue as (
    select
        date, studio, game, platform,
        sum(net_usd)::double as revenue_usd,
        count(player_id) filter (where net_usd > 0) as payers
    from nets group by date, studio, game, platform
),
periods as (select distinct date from spine),
waiting as ({{ waiting_grains('periods', 'date') }}),
measured as (
    select
        date, studio, game, platform,
        coalesce(dau, 0) as dau,
        coalesce(wau, 0) as wau,
        coalesce(mau, 0) as mau,
        coalesce(new_players, 0) as new_players,
        coalesce(sessions, 0) as sessions,
        coalesce(playtime_seconds, 0) as playtime_seconds,
        coalesce(crashed_sessions, 0) as crashed_sessions,
        coalesce(revenue_usd, 0) as revenue_usd,
        coalesce(payers, 0) as payers,
        coalesce(date + interval 1 day <= now_at, false) and w.date is null as is_complete
    from spine
    cross join {{ ref('processed_through') }}
    left join trailing_players using (date, studio, game, platform)
    left join daily_players using (date, studio, game, platform)
    left join new_players using (date, studio, game, platform)
    left join sessions using (date, studio, game, platform)
    left join revenue using (date, studio, game, platform)
    left join waiting w using (date, studio, game)
)
select
    date, studio, game, platform,
    dau, wau, mau,
    dau / nullif(mau, 0) as stickiness,
    new_players,
    dau - new_players as returning_players,
    sessions,
    playtime_seconds::double as playtime_seconds,
    playtime_seconds::double / nullif(sessions, 0) as session_length_mean_seconds,
    revenue_usd,
    payers,
    revenue_usd / nullif(dau, 0) as arpdau_usd,
    revenue_usd / nullif(payers, 0) as arppu_usd,
    1 - crashed_sessions / nullif(sessions, 0) as crash_free_sessions,
    is_complete
from measured
