{{ config(
    unique_key=['month', 'studio', 'game', 'platform'],
    meta={
        'window': {'relation': 'affected_kpi_months', 'period': 'month', 'column': 'month'},
        'publish': {'period': 'month', 'column': 'month'}
    }
) }}
-- Sums of days are sums of their months; players are counted anew, as they come on several days.
with sums as (
    select
        date_trunc('month', date)::date as month, studio, game, platform,
        sum(new_players)::bigint as new_players,
        sum(sessions)::bigint as sessions,
        sum(unattributed_sessions)::bigint as unattributed_sessions,
        -- Decimals do not depend on the order of the days.
        sum(playtime_seconds::decimal(28, 6)) as playtime_seconds,
        sum(unattributed_playtime_seconds::decimal(28, 6)) as unattributed_playtime_seconds,
        sum(revenue_usd::decimal(28, 6)) as revenue_usd,
        sum(unattributed_revenue_usd::decimal(28, 6)) as unattributed_revenue_usd
    from {{ ref('kpi_daily') }}
    where {{ in_window('date', ref('affected_kpi_months'), 'month') }}
    group by date_trunc('month', date)::date, studio, game, platform
),
-- Each on their last active day of the month: the next one is at most 30 days on, so that another month's
-- number is another month.
players as (
    select
        date_trunc('month', date)::date as month, studio, game, platform,
        count(*) as mau_calendar
    from {{ ref('next_days') }}
    where (next_date is null or extract(month from next_date) <> extract(month from date))
        and {{ in_window('date', ref('affected_kpi_months'), 'month') }}
    group by date_trunc('month', date)::date, studio, game, platform
),
paid as (
    select
        date_trunc('month', date)::date as month, studio, game, platform, player_id,
        sum(net_usd) as net_usd
    from {{ ref('player_days') }}
    where net_usd <> 0
        and {{ in_window('date', ref('affected_kpi_months'), 'month') }}
    group by date_trunc('month', date)::date, studio, game, platform, player_id
),
paying as (
    select month, studio, game, platform, count(*) as payers
    from paid where net_usd > 0
    group by month, studio, game, platform
),
periods as (select distinct month from sums),
waiting as ({{ waiting_grains('periods', 'month') }}),
measured as (
    select
        month, studio, game, platform,
        coalesce(mau_calendar, 0) as mau_calendar,
        new_players, sessions, unattributed_sessions,
        playtime_seconds::double precision as playtime_seconds,
        unattributed_playtime_seconds::double precision as unattributed_playtime_seconds,
        (playtime_seconds - unattributed_playtime_seconds)::double precision as player_seconds,
        revenue_usd::double precision as revenue_usd,
        unattributed_revenue_usd::double precision as unattributed_revenue_usd,
        (revenue_usd - unattributed_revenue_usd)::double precision as player_revenue_usd,
        coalesce(payers, 0) as payers,
        coalesce(month + interval '1 month' <= now_at, false) and w.game is null as is_complete
    from sums
    cross join {{ ref('processed_through') }}
    left join players using (month, studio, game, platform)
    left join paying using (month, studio, game, platform)
    left join waiting w using (month, studio, game)
)
select
    month, studio, game, platform,
    mau_calendar,
    new_players,
    sessions,
    unattributed_sessions,
    playtime_seconds,
    unattributed_playtime_seconds,
    playtime_seconds / nullif(sessions, 0) as session_length_mean_seconds,
    (sessions - unattributed_sessions)::double precision / nullif(mau_calendar, 0) as sessions_per_active_player,
    player_seconds / nullif(mau_calendar, 0) as playtime_per_active_player_seconds,
    revenue_usd,
    unattributed_revenue_usd,
    payers,
    player_revenue_usd / nullif(mau_calendar, 0) as arpmau_usd,
    player_revenue_usd / nullif(payers, 0) as arppu_usd,
    payers::double precision / nullif(mau_calendar, 0) as conversion_period,
    is_complete
from measured
