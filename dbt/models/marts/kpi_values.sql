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
-- Which KPIs are here, and under which name, stands at the columns that hold them (`in_values`).
{%- set values = values_in([
    ('kpi_daily', 'days', 'date'),
    ('kpi_monthly', 'months', 'month'),
    ('kpi_retention', 'retention', 'cohort_date'),
    ('kpi_console_daily', 'console', 'date'),
    ('kpi_stream_daily', 'stream', 'date'),
]) %}
with days as (select * from {{ ref('kpi_daily') }}),
months as (select * from {{ ref('kpi_monthly') }}),
retention as (select * from {{ ref('kpi_retention') }}),
-- Feeds tell of games, not of platforms.
console as (select *, 'all'::varchar as platform from {{ ref('kpi_console_daily') }}),
stream as (select *, 'all'::varchar as platform from {{ ref('kpi_stream_daily') }}),
long as (
    {% for each in values -%}
    select
        '{{ each.name }}'::varchar as kpi, {{ each.period }} as period, studio, game, platform,
        {{ each.column }}::double precision as value,
        '{{ each.version }}'::varchar as definition_version,
        {{ is_value_complete(each) }} as is_complete
    from {{ each.rows }}
    {%- if each.day_n %} where day_n = {{ each.day_n }}{% endif %}
    {% if not loop.last %}union all{% endif %}
    {% endfor -%}
)
select kpi, period, studio, game, platform, value, is_complete, definition_version
from long
where value is not null
