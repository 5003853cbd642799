{{ config(
    unique_key=['service_name', 'experiment', 'variant'],
    meta={'publish': {'period': 'all'}}
) }}
with named as (
    select * from {{ ref('shown_milestones') }}
    where event_name = 'ExperimentAssigned' and player_id <> ''
),
bundled as ({{ beyond_largest('named', ['service_name'], 'subject', var('most_names')) }}),
bundled_arms as ({{ beyond_largest('named', ['service_name', 'subject'], 'detail', var('most_variants')) }}),
-- What is beyond the largest experiments has one arm: nothing is compared there.
told as (
    select
        n.service_name, n.player_id, {{ shown_name('b', 'n.subject') }} as subject,
        case when b.name is not null or a.name is not null then 'other' else n.detail end as detail,
        n.subject as told_subject, n.detail as told_detail, n.first_at, n.last_at, n.first_transaction_id
    from named n
    left join bundled b on b.service_name = n.service_name and b.name = n.subject
    left join bundled_arms a
        on a.service_name = n.service_name and a.subject = n.subject and a.name = n.detail
),
assignments as (
    select
        service_name, player_id, subject as experiment, detail as variant, first_at::date as day_0,
        min({{ by_bytes('detail') }}) over (partition by service_name, subject, player_id)
            <> max({{ by_bytes('detail') }}) over (partition by service_name, subject, player_id) as has_two_variants,
        row_number() over (
            partition by service_name, subject, player_id
            order by first_at, first_transaction_id, {{ by_bytes('told_subject') }}, {{ by_bytes('told_detail') }}
        ) as place
    from told
),
assigned as (select * from assignments where place = 1),
-- An experiment goes on as long as anybody is told their variant.
lasting as (
    select service_name, subject as experiment, max(last_at) as last_assigned_at
    from told
    group by service_name, subject
),
cohort as (select distinct service_name, player_id, day_0 from assigned where not has_two_variants),
followed as ({{ followed('cohort') }}),
arms as (
    select
        a.service_name, a.experiment, a.variant,
        min(a.day_0) as first_assigned_date,
        count(f.player_id) as players,
        count(case when a.has_two_variants then 1 end) as players_two_variants,
        {{ retention_counts() }},
        count(case when is_d30 then 1 end) as players_d30,
        count(case when f.revenue_usd > 0 then 1 end) as payers,
        {{ moments('f.revenue_usd', 'revenue') }},
        {{ moments('f.revenue_d7', 'revenue_d7') }},
        {{ moments('f.revenue_d30', 'revenue_d30') }}
    from assigned a
    -- Who had two variants tells of neither.
    left join followed f
        on not a.has_two_variants and f.service_name = a.service_name and f.player_id = a.player_id and f.day_0 = a.day_0
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
        {%- for day in ['d7', 'd30'] %}
        {{ mean('revenue_' ~ day, 'revenue_' ~ day ~ '_per_player_usd') }},
        {{ mean_variance_of('revenue_' ~ day) }} as revenue_{{ day }}_variance,
        {%- endfor %}
        cast(sum(players) over (partition by service_name, experiment) as double precision)
            / count(*) over (partition by service_name, experiment) as expected_players,
        count(*) over (partition by service_name, experiment) as arms
    from arms
),
controls as (
    select
        service_name, experiment,
        {%- for day in ['d7', 'd30'] %}
        revenue_{{ day }}_variance as control_{{ day }}_variance, revenue_{{ day }}_n as control_{{ day }}_n,
        revenue_{{ day }}_per_player_usd as control_{{ day }}_revenue,
        {%- endfor %}
        players_d1 as control_players_d1, players_d7 as control_players_d7,
        {%- for day in ['d1', 'd7'] %}
        retention_{{ day }} as control_{{ day }},
        retention_{{ day }}_low as control_{{ day }}_low,
        retention_{{ day }}_high as control_{{ day }}_high {{ ',' if not loop.last }}
        {%- endfor %}
    from measured
    where is_control
),
-- Whether as many players came into every arm: if not, something else than chance chose them.
evenness as (
    select service_name, experiment, {{ chi_square_p('x', 'arms - 1') }} as sample_ratio_p
    from (
        select
            service_name, experiment, max(arms) as arms,
            sum(power(players - expected_players, 2) / nullif(expected_players, 0)) as x
        from measured
        group by service_name, experiment
        having max(arms) > 1
    ) as summed
),
looks as (
    select
        service_name, experiment,
        cast(max(last_date) - min(first_assigned_date) + 1 as bigint) as days
    from measured
    cross join (select now_at::date - 1 as last_date from {{ ref('processed_through') }}) l
    group by service_name, experiment
),
compared as (
    select
        m.*,
        {{ difference_of_shares('m.retention_d1', 'c.control_d1', 'retention_d1_difference') }},
        {{ difference_of_shares('m.retention_d7', 'c.control_d7', 'retention_d7_difference') }},
        {%- for day in ['d7', 'd30'] %}
        {{ difference_of_means(
            'm.revenue_' ~ day ~ '_per_player_usd', 'm.revenue_' ~ day ~ '_variance', 'm.revenue_' ~ day ~ '_n',
            'c.control_' ~ day ~ '_revenue', 'c.control_' ~ day ~ '_variance', 'c.control_' ~ day ~ '_n',
            'revenue_' ~ day ~ '_difference_usd') }},
        {%- endfor %}
        e.sample_ratio_p,
        coalesce(e.sample_ratio_p < {{ var('sample_ratio_alarm') }}, false) as has_uneven_arms,
        l.last_assigned_at,
        coalesce(l.last_assigned_at >= t.now_at - interval '28 days', false) as is_active,
        greatest(k.days, 1) as looks,
        coalesce({{ is_enough('m.players_d1') }} and {{ is_enough('c.control_players_d1') }}, false) as is_enough_d1,
        coalesce({{ is_enough('m.players_d7') }} and {{ is_enough('c.control_players_d7') }}, false) as is_enough_d7
    from measured m
    join lasting l on l.service_name = m.service_name and l.experiment = m.experiment
    join looks k on k.service_name = m.service_name and k.experiment = m.experiment
    cross join {{ ref('processed_through') }} t
    left join evenness e on e.service_name = m.service_name and e.experiment = m.experiment
    left join controls c
        on c.service_name = m.service_name and c.experiment = m.experiment and not m.is_control
)
select
    service_name, experiment, variant, is_control, is_active, first_assigned_date, last_assigned_at, players,
    players_two_variants, sample_ratio_p,
    looks as days_to_look, {{ error_of_looks('looks') }}::double precision as error_if_looked_daily,
    players_d1, retained_d1, retention_d1, retention_d1_low, retention_d1_high,
    players_d7, retained_d7, retention_d7, retention_d7_low, retention_d7_high,
    payers,
    cast(coalesce(revenue_sum, 0) as double precision) as revenue_usd,
    revenue_per_player_usd, revenue_per_player_usd_low, revenue_per_player_usd_high,
    {%- for day in ['d7', 'd30'] %}
    {{ 'players_d30,' if day == 'd30' }}
    revenue_{{ day }}_per_player_usd, revenue_{{ day }}_per_player_usd_low, revenue_{{ day }}_per_player_usd_high,
    revenue_{{ day }}_difference_usd, revenue_{{ day }}_difference_usd_low, revenue_{{ day }}_difference_usd_high,
    {%- endfor %}
    retention_d1_difference, retention_d1_difference_low, retention_d1_difference_high,
    retention_d7_difference, retention_d7_difference_low, retention_d7_difference_high,
    -- Arms of different age are compared over equal days alone.
    revenue_d7_difference_usd as revenue_difference_usd,
    revenue_d7_difference_usd_low as revenue_difference_usd_low,
    revenue_d7_difference_usd_high as revenue_difference_usd_high,
    case
        when has_uneven_arms and not is_control then 'uneven arms'
        when is_enough_d7 and retention_d7_difference_low > 0 then 'better'
        when is_enough_d7 and retention_d7_difference_high < 0 then 'worse'
        when is_enough_d7 then 'no clear difference'
        when is_enough_d1 and retention_d1_difference_low > 0 then 'better'
        when is_enough_d1 and retention_d1_difference_high < 0 then 'worse'
        when is_enough_d1 then 'no clear difference'
    end as verdict
from compared
