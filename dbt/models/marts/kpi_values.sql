{{ config(
    materialized='view',
    meta={
        'publish': {
            'period': 'date', 'column': 'period',
            'follows': [
                'kpi_daily', 'kpi_monthly', 'kpi_retention', 'kpi_console_daily', 'kpi_stream_daily'
            ]
        }
    }
) }}
{%- set daily = [
    'dau', 'wau', 'mau', 'stickiness', 'new_players', 'returning_players', 'resurrected_players',
    'sessions', 'unattributed_sessions', 'sessions_per_active_player', 'playtime_seconds',
    'unattributed_playtime_seconds', 'playtime_per_active_player_seconds', 'session_length_mean_seconds',
    'session_length_median_seconds', 'revenue_usd', 'unattributed_revenue_usd', 'payers', 'first_payers', 'arpdau_usd',
    'arppu_usd', 'conversion_first_purchase_daily', 'conversion_period', 'crash_free_sessions',
    'crash_free_players', 'churn_28',
] %}
{#- What looks beyond its day is complete with all that it looks at. -#}
{%- set complete_by = {
    'wau': 'is_wau_complete', 'mau': 'is_mau_complete', 'stickiness': 'is_mau_complete',
    'churn_28': 'is_churn_complete',
} %}
{%- set monthly = [
    'new_players', 'sessions', 'unattributed_sessions', 'playtime_seconds',
    'unattributed_playtime_seconds', 'session_length_mean_seconds', 'sessions_per_active_player',
    'playtime_per_active_player_seconds', 'revenue_usd', 'unattributed_revenue_usd', 'payers',
    'arpmau_usd', 'arppu_usd', 'conversion_period',
] %}
{%- set cohorts = [
    ('retention_classic_d1', 1, 'retention_classic'),
    ('retention_classic_d7', 7, 'retention_classic'),
    ('retention_classic_d30', 30, 'retention_classic'),
    ('conversion_cohort_d7', 7, 'conversion_cohort'),
    ('conversion_cohort_d30', 30, 'conversion_cohort'),
    ('ltv_d7_usd', 7, 'ltv_usd'),
    ('ltv_d30_usd', 30, 'ltv_usd'),
] %}
{%- set feeds = [
    ('kpi_console_daily', [
        ('installs', 'installs'), ('trophies', 'trophies'), ('subscriptions', 'subscriptions'),
        ('console_players', 'players'), ('trophy_players', 'trophy_players'),
        ('subscribers', 'subscribers'), ('trophy_earned_rate', 'trophy_earned_rate'),
        ('subscriber_share', 'subscriber_share'), ('console_purchases', 'purchases'),
        ('console_revenue_usd', 'revenue_usd'), ('console_payers', 'payers'),
    ]),
    ('kpi_stream_daily', [
        ('hours_watched', 'hours_watched'), ('average_viewers', 'average_viewers'),
        ('peak_viewers', 'peak_viewers'), ('peak_channels', 'peak_channels'),
        ('hours_streamed', 'hours_streamed'), ('viewer_ratio', 'viewer_ratio'),
    ]),
] %}
with days as (select * from {{ ref('kpi_daily') }}),
months as (select * from {{ ref('kpi_monthly') }}),
retention as (select * from {{ ref('kpi_retention') }}),
-- Feeds tell of games, not of platforms.
console as (select *, 'all'::varchar as platform from {{ ref('kpi_console_daily') }}),
stream as (select *, 'all'::varchar as platform from {{ ref('kpi_stream_daily') }}),
long as (
    {% for kpi in daily -%}
    select {{ value_of(kpi, 'date', 'kpi_daily', kpi) }}, {{ complete_by.get(kpi, 'is_complete') }} as is_complete
    from days
    union all
    {% endfor -%}
    -- Somebody may always come back.
    {% for n in [1, 7, 30] -%}
    select {{ value_of('retention_rolling_d' ~ n, 'cohort_date', 'kpi_retention', 'retention_rolling') }}, false
    from retention where day_n = {{ n }}
    union all
    {% endfor -%}
    {% for kpi, n, column in cohorts -%}
    select {{ value_of(kpi, 'cohort_date', 'kpi_retention', column) }}, is_complete
    from retention where day_n = {{ n }}
    union all
    {% endfor -%}
    select {{ value_of('mau_calendar', 'month', 'kpi_monthly', 'mau_calendar') }}, is_complete from months
    {% for kpi in monthly -%}
    union all
    select {{ value_of('monthly_' ~ kpi, 'month', 'kpi_monthly', kpi) }}, is_complete from months
    {% endfor -%}
    {% for model, columns in feeds -%}
    {% for kpi, column in columns -%}
    union all
    select {{ value_of(kpi, 'date', model, column) }}, is_complete
    from {{ 'console' if model == 'kpi_console_daily' else 'stream' }}
    {% endfor -%}
    {% endfor %}
)
select kpi, period, studio, game, platform, value, is_complete, definition_version
from long
where value is not null
