{{ config(
    unique_key=['cohort_date', 'day_n', 'studio', 'game', 'platform'],
    meta={
        'window': {'relation': 'affected_cohort_dates', 'period': 'date', 'column': 'cohort_date'},
        'publish': {'period': 'date', 'column': 'cohort_date'}
    }
) }}
with horizons as (
    select 1 as day_n union all select 7 union all select 30
),
-- Who was seen on day N or later: it changes for ever, and asks first and last days only.
seen as (
    select
        f.first_active_date as cohort_date, studio, game, platform,
        {%- for n in [1, 7, 30] %}
        sum(case when l.last_active_date >= f.first_active_date + {{ n }} then 1 else 0 end) as rolling_{{ n }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('first_days') }} f
    join {{ ref('last_days') }} l using (studio, game, platform, player_id)
    where {{ in_window('f.first_active_date', ref('affected_cohort_dates'), 'date') }}
    group by f.first_active_date, studio, game, platform
),
cohorts as (
    select p.*, s.rolling_1, s.rolling_7, s.rolling_30
    from {{ ref('cohort_play') }} p
    join seen s using (cohort_date, studio, game, platform)
    where {{ in_window('p.cohort_date', ref('affected_cohort_dates'), 'date') }}
),
periods as (
    select distinct cohort_date + n as date from cohorts cross join {{ numbers(31) }} r
),
waiting as ({{ waiting_grains('periods', 'date') }}),
waits as (
    select distinct c.cohort_date, h.day_n, c.studio, c.game
    from cohorts c
    cross join horizons h
    join waiting w on w.studio = c.studio and w.game = c.game
        and w.date >= c.cohort_date and w.date <= c.cohort_date + h.day_n
),
measured as (
    select
        c.cohort_date, h.day_n, c.studio, c.game, c.platform, c.cohort_size,
        coalesce(c.cohort_date + h.day_n < t.now_at::date, false) as is_over,
        w.day_n is not null as is_waiting,
        {% for measure in ['classic', 'rolling', 'payers', 'revenue'] %}
        case h.day_n when 1 then {{ measure }}_1 when 7 then {{ measure }}_7 else {{ measure }}_30 end as {{ measure }}{{ ',' if not loop.last }}
        {% endfor %}
    from cohorts c
    cross join horizons h
    cross join {{ ref('processed_through') }} t
    left join waits w on w.cohort_date = c.cohort_date and w.day_n = h.day_n
        and w.studio = c.studio and w.game = c.game
)
select
    cohort_date, day_n, studio, game, platform, cohort_size,
    -- Before the end of day N nothing is known, which is not the same as nobody.
    case when is_over then classic end::bigint as retained_classic,
    case when is_over then rolling end::bigint as retained_rolling,
    case when is_over then classic::double precision / cohort_size end as retention_classic,
    case when is_over then rolling::double precision / cohort_size end as retention_rolling,
    case when is_over then payers end::bigint as payers,
    case when is_over then payers::double precision / cohort_size end as conversion_cohort,
    case when is_over then revenue end::double precision as revenue_usd,
    case when is_over then revenue::double precision / cohort_size end as ltv_usd,
    is_over and not is_waiting as is_complete
from measured
