{%- set measures = {
    'session_length_seconds': 'playtime_seconds / nullif(sessions, 0)',
    'sessions_per_day': 'sessions / days',
    'playtime_per_day_seconds': 'playtime_seconds / days',
    'active_days': 'days',
    'features_per_day': 'feature_uses / days',
    'issues_per_day': 'issues / days',
    'revenue_per_day_usd': 'revenue_usd / days'
} -%}
{{ config(
    unique_key=['service_name', 'version', 'measure'],
    meta={'publish': {'period': 'all'}}
) }}
with players as (
    select
        service_name, version, is_latest_version,
        cast(active_days as double precision) as days,
        -- The middle of the player's days on it, in days before today.
        active_date_sum / cast(active_days as double precision) - (today - date '2000-01-01') as mean_day,
        {%- for measure in ['sessions', 'playtime_seconds', 'revenue_usd', 'feature_uses', 'issues'] %}
        cast(active_{{ measure }} as double precision) as {{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('recent_version_players') }}
    cross join {{ ref('processed_through') }}
    where active_days > 0
),
placed as (
    select
        p.*, o.release_number
    from players p
    join {{ ref('version_order') }} o on o.service_name = p.service_name and o.version = p.version
),
behaviour as (
    select
        service_name, version, release_number, is_latest_version,
        cast(mean_day as decimal(18, 6)) as mean_day,
        {%- for measure, formula in measures.items() %}
        cast({{ formula }} as decimal(18, 6)) as {{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}
    from placed
),
-- Players are grouped once for all measures, side by side.
sums as (
    select
        service_name, version,
        {%- for measure in measures %}
        {{ moments(measure, measure) }},
        {{ median_of(measure) }} as {{ measure }}_median{{ ',' if not loop.last }}
        {%- endfor %}
    from behaviour
    group by service_name, version
),
summed as (
    {%- for measure in measures %}
    select
        service_name, version, '{{ measure }}' as measure,
        {{ measure }}_n as x_n, {{ measure }}_sum as x_sum, {{ measure }}_squares as x_squares,
        {{ measure }}_median as median
    from sums
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),
means as (
    select
        *,
        {{ mean('x', 'mean') }},
        {{ mean_variance_of('x') }} as variance
    from summed
),
samples as (
    select
        service_name,
        {%- for measure in measures %}
        {%- set release = 'case when ' ~ measure ~ ' is not null then release_number end' %}
        count({{ measure }}) as {{ measure }}_n,
        cast(sum({{ release }}) as double precision) as {{ measure }}_r,
        cast(sum({{ release }} * release_number) as double precision) as {{ measure }}_rr,
        cast(sum(cast({{ measure }} as decimal(38, 6))) as double precision) as {{ measure }}_x,
        cast(sum(cast(power(cast({{ measure }} as double precision), 2) as decimal(38, 6))) as double precision)
            as {{ measure }}_xx,
        cast(sum(cast(cast({{ measure }} as double precision) * release_number as decimal(38, 6))) as double precision)
            as {{ measure }}_rx,
        {%- set day = 'case when ' ~ measure ~ ' is not null then cast(mean_day as double precision) end' %}
        cast(sum(cast({{ day }} as decimal(38, 6))) as double precision) as {{ measure }}_t,
        cast(sum(cast(power({{ day }}, 2) as decimal(38, 6))) as double precision) as {{ measure }}_tt,
        cast(sum(cast({{ day }} * release_number as decimal(38, 6))) as double precision) as {{ measure }}_rt,
        cast(sum(cast({{ day }} * cast({{ measure }} as double precision) as decimal(38, 6))) as double precision)
            as {{ measure }}_xt,
        min({{ day }}) < max({{ day }}) as {{ measure }}_is_dated,
        min({{ release }}) < max({{ release }}) and min({{ measure }}) < max({{ measure }})
            as {{ measure }}_is_varied{{ ',' if not loop.last }}
        {%- endfor %}
    from behaviour
    where is_latest_version and release_number is not null
    group by service_name
),
pairs as (
    {%- for measure in measures %}
    select
        service_name, '{{ measure }}' as measure, {{ measure }}_n as n,
        {{ measure }}_r as sum_r, {{ measure }}_rr as sum_rr, {{ measure }}_x as sum_x,
        {{ measure }}_xx as sum_xx, {{ measure }}_rx as sum_rx, {{ measure }}_is_varied as is_varied,
        {{ measure }}_t as sum_t, {{ measure }}_tt as sum_tt, {{ measure }}_rt as sum_rt, {{ measure }}_xt as sum_xt,
        {{ measure }}_is_dated as is_dated
    from samples
    where {{ measure }}_n > 0
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),
correlations as (
    select
        service_name, measure, n,
        -- How long a version is out decides how many days anybody had on it.
        case when {{ is_enough('n') }} and is_varied and measure <> 'active_days'
            then {{ correlation('n', 'sum_r', 'sum_rr', 'sum_x', 'sum_xx', 'sum_rx') }} end as correlation,
        case when is_varied and is_dated
            then {{ correlation('n', 'sum_r', 'sum_rr', 'sum_t', 'sum_tt', 'sum_rt') }} end as release_and_day,
        case when is_varied and is_dated
            then {{ correlation('n', 'sum_x', 'sum_xx', 'sum_t', 'sum_tt', 'sum_xt') }} end as measure_and_day
    from pairs
),
-- What is left of the correlation among players of the same days. Where the days say all of the version, or
-- of the measure, nothing is left.
partial as (
    select
        *,
        case
            when correlation is null then null
            when abs(coalesce(release_and_day, 0)) > 0.9999 or abs(coalesce(measure_and_day, 0)) > 0.9999 then 0
            else greatest(-1, least(1,
                (correlation - coalesce(release_and_day, 0) * coalesce(measure_and_day, 0))
                / sqrt((1 - power(coalesce(release_and_day, 0), 2)) * (1 - power(coalesce(measure_and_day, 0), 2)))))
        end as same_day_correlation
    from correlations
),
bounded as (
    select
        *,
        {{ correlation_bounds('correlation', 'n', 'correlation') }},
        {{ correlation_bounds('same_day_correlation', '(n - 1)', 'same_day_correlation') }}
    from partial
),
measures as (
    {%- for measure in measures %}
    select '{{ measure }}' as measure {{ 'union all' if not loop.last }}
    {%- endfor %}
)
select
    e.service_name, e.version, e.version_sort_key, e.release_state, e.release_date, e.release_number,
    k.measure,
    coalesce(m.x_n, 0) as players,
    m.mean, m.mean_low, m.mean_high, m.median,
    e.previous_version,
    {{ difference_of_means('m.mean', 'm.variance', 'm.x_n', 'b.mean', 'b.variance', 'b.x_n', 'difference') }},
    c.correlation, c.correlation_low, c.correlation_high,
    c.same_day_correlation, c.same_day_correlation_low, c.same_day_correlation_high,
    case when {{ is_beyond_chance('c.correlation') }}
        then not coalesce({{ is_beyond_chance('c.same_day_correlation') }}, false) end as only_follows_time,
    coalesce(c.n, 0) as correlation_players,
    e.adopters_differ,
    {{ is_enough('coalesce(m.x_n, 0)') }} as has_enough_data
from {{ ref('version_engagement') }} e
cross join measures k
left join means m on m.service_name = e.service_name and m.version = e.version and m.measure = k.measure
left join means b
    on b.service_name = e.service_name and b.version = e.previous_version and b.measure = k.measure
    and k.measure <> 'active_days'
left join bounded c on c.service_name = e.service_name and c.measure = k.measure
