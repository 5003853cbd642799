{# What an incremental model recomputes. A window is a relation with the column `hour` or `date`;
   outside incremental runs everything is in it. The periods become plain ranges in the statement,
   by which DuckDB skips whatever does not hold them. #}
{% macro in_window(column, relation, period, days_before=0) -%}
    {%- if not is_incremental() -%}true{%- else -%}
        {{ return(window_predicate(column, relation, period, days_before)) }}
    {%- endif -%}
{%- endmacro %}

{% macro window_predicate(column, relation, period, days_before=0) -%}
    {%- if not execute -%}{{ return('true') }}{%- endif -%}
    {%- set ranges = run_query(window_ranges(relation, period, days_before)).rows -%}
    {%- if not ranges | length -%}{{ return('false') }}{%- endif -%}
    {%- set terms = [] -%}
    {%- for from_period, to_period in ranges -%}
        {%- do terms.append("(" ~ column ~ " >= '" ~ from_period ~ "' and " ~ column ~ " < '" ~ to_period ~ "')") -%}
    {%- endfor -%}
    {{ return("(" ~ terms | join(" or ") ~ ")") }}
{%- endmacro %}

{# Neighbouring periods as half-open ranges of text. #}
{% macro window_ranges(relation, period, days_before) -%}
    {%- set text_format = '%Y-%m-%d' if period == 'date' else '%Y-%m-%d %H:%M:%S' -%}
    {%- set step = 'day' if period == 'date' else 'hour' -%}
    with periods as (
        select distinct {{ period }}::timestamp + to_days(d.days::integer) as period
        from {{ relation }} cross join range(-{{ days_before }}, 1) as d(days)
    ),
    islands as (
        select period, period - to_{{ step }}s(row_number() over (order by period)::integer) as island
        from periods
    )
    select
        strftime(min(period), '{{ text_format }}'),
        strftime(max(period) + interval 1 {{ step }}, '{{ text_format }}')
    from islands group by island order by 1
{%- endmacro %}
