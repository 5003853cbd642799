{{ config(
    unique_key=['cohort_date', 'studio', 'game', 'platform'],
    meta={'window': {'relation': 'affected_play_cohort_dates', 'period': 'date', 'column': 'cohort_date'}}
) }}
with members as (
    select first_active_date as cohort_date, studio, game, platform, player_id
    from {{ ref('first_days') }}
    where {{ in_window('first_active_date', ref('affected_play_cohort_dates'), 'date') }}
),
sizes as (
    select cohort_date, studio, game, platform, count(*) as cohort_size
    from members
    group by cohort_date, studio, game, platform
),
-- Days N alone are asked for who came back: a tenth of a cohort's days, and nobody is on one twice.
returned as (
    select
        m.cohort_date, studio, game, platform,
        {%- for n in [1, 7, 30] %}
        count(case when d.date = m.cohort_date + {{ n }} then 1 end) as classic_{{ n }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('player_days') }} d
    join members m using (studio, game, platform, player_id)
    where d.is_active and d.date - m.cohort_date in (1, 7, 30)
        {%- if is_incremental() %}
        and {{ in_window('d.date', ref('affected_play_cohort_dates'), 'date', days_after=30) }}
        and d.date in (
            select s.cohort_date + h.day_n
            from (select distinct cohort_date from sizes) s
            cross join (select 1 as day_n union all select 7 union all select 30) h
        )
        {%- endif %}
    group by m.cohort_date, studio, game, platform
),
-- Few days have payments, and only these are added up by player.
paid as (
    select
        m.cohort_date, studio, game, platform, player_id,
        {%- for n in [1, 7, 30] %}
        sum(case when d.date <= m.cohort_date + {{ n }} then d.net_usd else 0 end) as net_{{ n }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('player_days') }} d
    join members m using (studio, game, platform, player_id)
    where d.net_usd <> 0 and d.date >= m.cohort_date and d.date <= m.cohort_date + 30
        and {{ in_window('d.date', ref('affected_play_cohort_dates'), 'date', days_after=30) }}
    group by m.cohort_date, studio, game, platform, player_id
),
payments as (
    select
        cohort_date, studio, game, platform,
        {%- for n in [1, 7, 30] %}
        count(case when net_{{ n }} > 0 then 1 end) as payers_{{ n }},
        sum(net_{{ n }}) as revenue_{{ n }}{{ ',' if not loop.last }}
        {%- endfor %}
    from paid
    group by cohort_date, studio, game, platform
)
select
    cohort_date, studio, game, platform, s.cohort_size
    {%- for n in [1, 7, 30] %},
    case when cohort_date + {{ n }} < now_at::date then coalesce(r.classic_{{ n }}, 0) end as classic_{{ n }},
    case when cohort_date + {{ n }} < now_at::date then coalesce(p.payers_{{ n }}, 0) end as payers_{{ n }},
    case when cohort_date + {{ n }} < now_at::date then cast(coalesce(p.revenue_{{ n }}, 0) as decimal(38, 6)) end
        as revenue_{{ n }}
    {%- endfor %}
from sizes s
cross join {{ ref('processed_through') }}
left join returned r using (cohort_date, studio, game, platform)
left join payments p using (cohort_date, studio, game, platform)
