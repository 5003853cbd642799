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
        {%- for measure in ['sessions', 'playtime_seconds', 'revenue_usd', 'feature_uses', 'issues'] %}
        cast(active_{{ measure }} as double precision) as {{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('recent_version_players') }}
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
told as (
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
        min({{ release }}) < max({{ release }}) and min({{ measure }}) < max({{ measure }})
            as {{ measure }}_is_varied{{ ',' if not loop.last }}
        {%- endfor %}
    from behaviour
    where is_latest_version
    group by service_name
),
pairs as (
    {%- for measure in measures %}
    select
        service_name, '{{ measure }}' as measure, {{ measure }}_n as n,
        {{ measure }}_r as sum_r, {{ measure }}_rr as sum_rr, {{ measure }}_x as sum_x,
        {{ measure }}_xx as sum_xx, {{ measure }}_rx as sum_rx, {{ measure }}_is_varied as is_varied
    from told
    where {{ measure }}_n > 0
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),
correlations as (
    select
        service_name, measure, n,
        case when {{ is_enough('n') }} and is_varied then greatest(-1, least(1,
            (n * sum_rx - sum_r * sum_x)
            / nullif(sqrt(n * sum_rr - sum_r * sum_r) * sqrt(greatest(n * sum_xx - sum_x * sum_x, 0)), 0)
        )) end as correlation
    from pairs
),
bounded as (
    select *, {{ correlation_bounds('correlation', 'n', 'correlation') }} from correlations
),
measures as (
    {%- for measure in measures %}
    select '{{ measure }}' as measure {{ 'union all' if not loop.last }}
    {%- endfor %}
)
select
    e.service_name, e.version, e.release_date, e.release_number,
    k.measure,
    coalesce(m.x_n, 0) as players,
    m.mean, m.mean_low, m.mean_high, m.median,
    e.previous_version,
    {{ difference_of_means('m.mean', 'm.variance', 'm.x_n', 'b.mean', 'b.variance', 'b.x_n', 'difference') }},
    c.correlation, c.correlation_low, c.correlation_high,
    coalesce(c.n, 0) as correlation_players,
    e.adopters_differ,
    {{ is_enough('coalesce(m.x_n, 0)') }} as has_enough_data
from {{ ref('version_engagement') }} e
cross join measures k
left join means m on m.service_name = e.service_name and m.version = e.version and m.measure = k.measure
left join means b
    on b.service_name = e.service_name and b.version = e.previous_version and b.measure = k.measure
left join bounded c on c.service_name = e.service_name and c.measure = k.measure
