{{ config(
    unique_key=['cohort_date', 'studio', 'game', 'platform'],
    meta={'window': {'relation': 'affected_play_cohort_dates', 'period': 'date', 'column': 'cohort_date'}}
) }}
with members as (
    select first_active_date as cohort_date, studio, game, platform, player_id
    from {{ ref('first_days') }}
    where {{ in_window('first_active_date', ref('affected_play_cohort_dates'), 'date') }}
),
-- What each player of a cohort did in the 30 days after.
played as (
    select
        m.cohort_date, studio, game, platform, player_id,
        d.date - m.cohort_date as age,
        d.net_usd
    from {{ ref('player_days') }} d
    join members m using (studio, game, platform, player_id)
    where d.date <= m.cohort_date + 30
        and {{ in_window('d.date', ref('affected_play_cohort_dates'), 'date', days_after=30) }}
),
players as (
    select
        cohort_date, studio, game, platform, player_id,
        {% for n in [1, 7, 30] %}
        max(case when age = {{ n }} then 1 else 0 end) as is_active_{{ n }},
        sum(case when age <= {{ n }} then net_usd else 0 end) as net_{{ n }}{{ ',' if not loop.last }}
        {% endfor %}
    from played
    group by cohort_date, studio, game, platform, player_id
)
select
    cohort_date, studio, game, platform,
    count(*) as cohort_size
    {%- for n in [1, 7, 30] %},
    cast(sum(is_active_{{ n }}) as bigint) as classic_{{ n }},
    cast(sum(case when net_{{ n }} > 0 then 1 else 0 end) as bigint) as payers_{{ n }},
    cast(sum(net_{{ n }}) as decimal(38, 6)) as revenue_{{ n }}
    {%- endfor %}
from players
group by cohort_date, studio, game, platform
