{{ config(
    unique_key=['service_name', 'experiment', 'variant'],
    meta={'publish': {'period': 'all'}}
) }}
with assignments as (
    select
        service_name, player_id, subject as experiment, detail as variant, event_at::date as day_0,
        row_number() over (
            partition by service_name, subject, player_id
            order by event_at, transaction_id, {{ by_bytes('event_id') }}
        ) as place
    from {{ ref('player_events') }}
    where event_name = 'ExperimentAssigned' and player_id is not null
),
assigned as (select * from assignments where place = 1),
cohort as (select distinct service_name, player_id, day_0 from assigned),
followed as ({{ followed('cohort') }}),
arms as (
    select
        a.service_name, a.experiment, a.variant,
        min(a.day_0) as first_assigned_date,
        count(*) as players,
        {{ retention_counts() }},
        count(case when f.revenue_usd > 0 then 1 end) as payers,
        {{ moments('f.revenue_usd', 'revenue') }}
    from assigned a
    join followed f
        on f.service_name = a.service_name and f.player_id = a.player_id and f.day_0 = a.day_0
    group by a.service_name, a.experiment, a.variant
),
measured as (
    select
        *,
        row_number() over (
            partition by service_name, experiment
            order by
                case lower(variant) when 'control' then 0 when 'baseline' then 1 when 'a' then 2 else 3 end,
                {{ by_bytes('variant') }}
        ) = 1 as is_control,
        {{ share('retained_d1', 'players_d1', 'retention_d1') }},
        {{ share('retained_d7', 'players_d7', 'retention_d7') }},
        {{ mean('revenue', 'revenue_per_player_usd') }},
        {{ mean_variance_of('revenue') }} as revenue_variance
    from arms
),
controls as (
    select
        service_name, experiment, revenue_variance as control_revenue_variance,
        revenue_n as control_revenue_n, revenue_per_player_usd as control_revenue,
        players_d1 as control_players_d1, players_d7 as control_players_d7,
        {%- for day in ['d1', 'd7'] %}
        retention_{{ day }} as control_{{ day }},
        retention_{{ day }}_low as control_{{ day }}_low,
        retention_{{ day }}_high as control_{{ day }}_high {{ ',' if not loop.last }}
        {%- endfor %}
    from measured
    where is_control
),
compared as (
    select
        m.*,
        {{ difference_of_shares('m.retention_d1', 'c.control_d1', 'retention_d1_difference') }},
        {{ difference_of_shares('m.retention_d7', 'c.control_d7', 'retention_d7_difference') }},
        {{ difference_of_means(
            'm.revenue_per_player_usd', 'm.revenue_variance', 'm.revenue_n',
            'c.control_revenue', 'c.control_revenue_variance', 'c.control_revenue_n',
            'revenue_difference_usd') }},
        coalesce({{ is_enough('m.players_d1') }} and {{ is_enough('c.control_players_d1') }}, false) as is_enough_d1,
        coalesce({{ is_enough('m.players_d7') }} and {{ is_enough('c.control_players_d7') }}, false) as is_enough_d7
    from measured m
    left join controls c
        on c.service_name = m.service_name and c.experiment = m.experiment and not m.is_control
)
select
    service_name, experiment, variant, is_control, first_assigned_date, players,
    players_d1, retained_d1, retention_d1, retention_d1_low, retention_d1_high,
    players_d7, retained_d7, retention_d7, retention_d7_low, retention_d7_high,
    payers,
    cast(revenue_sum as double precision) as revenue_usd,
    revenue_per_player_usd, revenue_per_player_usd_low, revenue_per_player_usd_high,
    retention_d1_difference, retention_d1_difference_low, retention_d1_difference_high,
    retention_d7_difference, retention_d7_difference_low, retention_d7_difference_high,
    revenue_difference_usd, revenue_difference_usd_low, revenue_difference_usd_high,
    case
        when is_enough_d7 and retention_d7_difference_low > 0 then 'better'
        when is_enough_d7 and retention_d7_difference_high < 0 then 'worse'
        when is_enough_d7 then 'no clear difference'
        when is_enough_d1 and retention_d1_difference_low > 0 then 'better'
        when is_enough_d1 and retention_d1_difference_high < 0 then 'worse'
        when is_enough_d1 then 'no clear difference'
    end as verdict
from compared
