{{ config(
    unique_key=['date', 'studio', 'game', 'platform'],
    meta={
        'window': {'relation': 'affected_kpi_dates', 'period': 'date', 'column': 'date'},
        'publish': {'period': 'date', 'column': 'date'}
    }
) }}
with grain_first_dates as (
    select studio, game, platform, first_date, today
    from {{ ref('grain_first_dates') }} cross join {{ ref('processed_through') }}
),
grain_dates as ({{ spread_dates('grain_first_dates', 'studio, game, platform', 'first_date', 'today') }}),
spine as (
    select date, studio, game, platform from grain_dates
    where {{ in_window('date', ref('affected_kpi_dates'), 'date') }}
),
daily_players as (
    select
        date, studio, game, platform,
        count(case when is_active then 1 end) as dau,
        sum(case when net_usd > 0 then 1 else 0 end) as payers,
        sum(net_usd) as player_revenue_usd,
        sum(case when has_crashed then 1 else 0 end) as crashed_players
    from {{ ref('player_days') }}
    where {{ in_window('date', ref('affected_kpi_dates'), 'date') }}
    group by date, studio, game, platform
),
stayed_away as (
    select date, studio, game, platform, count(*) as churned
    from {{ ref('next_days') }}
    where (next_date is null or next_date > date + 28)
        and {{ in_window('date', ref('affected_kpi_dates'), 'date') }}
    group by date, studio, game, platform
),
trailing_players as (
    select date, studio, game, platform, wau, mau, seen_before
    from {{ ref('trailing_players') }}
    where {{ in_window('date', ref('affected_kpi_dates'), 'date') }}
),
new_players as (
    select first_active_date as date, studio, game, platform, count(*) as new_players
    from {{ ref('first_days') }}
    where {{ in_window('first_active_date', ref('affected_kpi_dates'), 'date') }}
    group by first_active_date, studio, game, platform
),
first_payers as (
    select first_purchase_date as date, studio, game, platform, count(*) as first_payers
    from {{ ref('first_days') }}
    where first_purchase_date is not null
        and {{ in_window('first_purchase_date', ref('affected_kpi_dates'), 'date') }}
    group by first_purchase_date, studio, game, platform
),
started as (
    select
        started_at::date as date,
        {{ grain_label('studio') }} as studio,
        {{ grain_label('game') }} as game,
        {{ grain_label('platform') }} as platform,
        player_id,
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
        sum(case when player_id is null then 1 else 0 end) as unattributed_sessions,
        sum(case when player_id is null then duration_seconds else 0 end) as unattributed_seconds,
        percentile_cont(0.5) within group (order by duration_seconds::double precision) as median_seconds,
        sum(case when has_crash then 1 else 0 end) as crashed_sessions
    from started group by {{ grain_sets(['date']) }}
),
purchases as (
    select hour::date as date, studio, game, platform, revenue_usd
    from {{ ref('grain_hours') }}
    where revenue_usd <> 0
        and {{ in_window('hour', ref('affected_kpi_dates'), 'date') }}
),
revenue as (
    select date, {{ grain_columns() }}, sum(revenue_usd) as revenue_usd
    from purchases group by {{ grain_sets(['date']) }}
),
cohorts as (
    select
        cohort_date as date, studio, game, platform,
        max(case when day_n = 7 then conversion_cohort end) as conversion_cohort_d7,
        max(case when day_n = 30 then conversion_cohort end) as conversion_cohort_d30,
        max(case when day_n = 7 then ltv_usd end) as ltv_d7_usd,
        max(case when day_n = 30 then ltv_usd end) as ltv_d30_usd
    from {{ ref('kpi_retention') }}
    where {{ in_window('cohort_date', ref('affected_kpi_dates'), 'date') }}
    group by cohort_date, studio, game, platform
),
periods as (select distinct date from spine),
waiting as ({{ waiting_grains('periods', 'date') }}),
waiting_7 as ({{ waiting_grains('periods', 'date', days_before=6) }}),
waiting_30 as ({{ waiting_grains('periods', 'date', days_before=29) }}),
waiting_churn as ({{ waiting_grains('periods', 'date', days_after=28) }}),
measured as (
    select
        date, studio, game, platform,
        coalesce(dau, 0) as dau,
        coalesce(wau, 0) as wau,
        coalesce(mau, 0) as mau,
        coalesce(new_players, 0) as new_players,
        (coalesce(dau, 0) - coalesce(seen_before, 0) - coalesce(new_players, 0))::bigint as resurrected_players,
        case when date + 28 < now_at::date then coalesce(churned, 0)::bigint end as churned_players_28,
        coalesce(sessions, 0) as sessions,
        coalesce(playtime_seconds, 0)::double precision as playtime_seconds,
        coalesce(unattributed_sessions, 0)::bigint as unattributed_sessions,
        coalesce(unattributed_seconds, 0)::double precision as unattributed_playtime_seconds,
        (coalesce(playtime_seconds, 0) - coalesce(unattributed_seconds, 0))::double precision as player_seconds,
        median_seconds,
        coalesce(crashed_sessions, 0)::double precision as crashed_sessions,
        coalesce(crashed_players, 0)::double precision as crashed_players,
        coalesce(revenue_usd, 0)::double precision as revenue_usd,
        coalesce(player_revenue_usd, 0)::double precision as player_revenue_usd,
        (coalesce(revenue_usd, 0) - coalesce(player_revenue_usd, 0))::double precision as unattributed_revenue_usd,
        coalesce(payers, 0)::bigint as payers,
        coalesce(first_payers, 0) as first_payers,
        conversion_cohort_d7, conversion_cohort_d30, ltv_d7_usd, ltv_d30_usd,
        coalesce(date + 1 <= now_at, false) and w.game is null as is_complete,
        coalesce(date + 1 <= now_at, false) and w7.game is null as is_wau_complete,
        coalesce(date + 1 <= now_at, false) and w30.game is null as is_mau_complete,
        coalesce(date + 29 <= now_at, false) and wc.game is null as is_churn_complete
    from spine
    cross join {{ ref('processed_through') }}
    left join trailing_players using (date, studio, game, platform)
    left join daily_players using (date, studio, game, platform)
    left join stayed_away using (date, studio, game, platform)
    left join new_players using (date, studio, game, platform)
    left join first_payers using (date, studio, game, platform)
    left join sessions using (date, studio, game, platform)
    left join revenue using (date, studio, game, platform)
    left join cohorts using (date, studio, game, platform)
    left join waiting w using (date, studio, game)
    left join waiting_7 w7 using (date, studio, game)
    left join waiting_30 w30 using (date, studio, game)
    left join waiting_churn wc using (date, studio, game)
)
select
    date, studio, game, platform,
    dau, wau, mau,
    dau::double precision / nullif(mau, 0) as stickiness,
    new_players,
    dau - new_players as returning_players,
    resurrected_players,
    churned_players_28,
    churned_players_28::double precision / nullif(dau, 0) as churn_28,
    sessions,
    unattributed_sessions,
    -- Figures per player take what is known of players alone.
    (sessions - unattributed_sessions)::double precision / nullif(dau, 0) as sessions_per_active_player,
    playtime_seconds,
    unattributed_playtime_seconds,
    player_seconds / nullif(dau, 0) as playtime_per_active_player_seconds,
    playtime_seconds / nullif(sessions, 0) as session_length_mean_seconds,
    median_seconds as session_length_median_seconds,
    revenue_usd,
    unattributed_revenue_usd,
    payers,
    first_payers,
    player_revenue_usd / nullif(dau, 0) as arpdau_usd,
    player_revenue_usd / nullif(payers, 0) as arppu_usd,
    first_payers::double precision / nullif(dau, 0) as conversion_first_purchase_daily,
    payers::double precision / nullif(dau, 0) as conversion_period,
    conversion_cohort_d7,
    conversion_cohort_d30,
    ltv_d7_usd,
    ltv_d30_usd,
    1 - crashed_sessions / nullif(sessions, 0) as crash_free_sessions,
    1 - crashed_players / nullif(dau, 0) as crash_free_players,
    is_complete,
    is_wau_complete,
    is_mau_complete,
    is_churn_complete
from measured
