{# What an incremental model recomputes. A window is a relation with the column `hour` or `date`;
   outside incremental runs everything is in it. #}
{% macro in_window(column, relation, period, days_before=0) -%}
    {%- if not is_incremental() -%}true{%- else -%}
        {{ return(window_predicate(column, relation, period, days_before)) }}
    {%- endif -%}
{%- endmacro %}

{# A condition that holds for the rows of the window's periods. Up to 8 ranges of neighbouring
   periods stand in the statement, by which DuckDB skips whatever does not hold them. It asks every
   row about every range, so more of them become 8 that leave out the widest gaps, and a semi join
   with the periods decides within these. #}
{% macro window_predicate(column, relation, period, days_before=0) -%}
    {%- if not execute -%}{{ return('true') }}{%- endif -%}
    {%- set step = 'day' if period == 'date' else 'hour' -%}
    {%- set ranges = run_query(window_ranges(relation, period, step, days_before, 8)).rows -%}
    {%- if not ranges | length -%}{{ return('false') }}{%- endif -%}
    {%- set terms = [] -%}
    {%- for range in ranges -%}
        {%- do terms.append("(" ~ column ~ " >= '" ~ range[0] ~ "' and " ~ column ~ " < '" ~ range[1] ~ "')") -%}
    {%- endfor -%}
    {%- set is_near = "(" ~ terms | join(" or ") ~ ")" -%}
    {%- if ranges | sum(attribute=2) == ranges | length -%}{{ return(is_near) }}{%- endif -%}
    {%- set periods = window_periods(relation, period, days_before) -%}
    {{ return(is_near ~ " and date_trunc('" ~ step ~ "', " ~ column ~ ") in (" ~ periods ~ ")") }}
{%- endmacro %}

{# What a test of a model looks at: the rows that the build could change, and those are all if the
   model is no incremental one, or if everything is built anew. #}
{% macro built_rows(name) -%}
    {%- if flags.FULL_REFRESH or not execute -%}{{ return('true') }}{%- endif -%}
    {%- set models = graph.nodes.values() | selectattr('resource_type', 'equalto', 'model') -%}
    {%- for node in models if node.name == name -%}
        {{ return(replaced_rows(node.config.get('meta', {}), node.config.get('incremental_predicates'))) }}
    {%- endfor -%}
    {{ return('true') }}
{%- endmacro %}

{% macro window_periods(relation, period, days_before) -%}
    select distinct {{ period }}::timestamp + to_days(d.days::integer) as period
    from {{ relation }} cross join range(-{{ days_before }}, 1) as d(days)
{%- endmacro %}

{# At most `most` half-open ranges of text, and how many islands of neighbouring periods each holds. #}
{% macro window_ranges(relation, period, step, days_before, most) -%}
    {%- set text_format = '%Y-%m-%d' if period == 'date' else '%Y-%m-%d %H:%M:%S' -%}
    with periods as ({{ window_periods(relation, period, days_before) }}),
    numbered as (
        select period, period - to_{{ step }}s(row_number() over (order by period)::integer) as island
        from periods
    ),
    islands as (
        select min(period) as first_period, max(period) + interval 1 {{ step }} as end_period
        from numbered group by island
    ),
    gaps as (
        select *, first_period - lag(end_period) over (order by first_period) as gap from islands
    ),
    ranked as (
        select *, row_number() over (order by gap desc nulls last, first_period) < {{ most }} as is_wide
        from gaps
    ),
    ranges as (
        select *, count(*) filter (where is_wide) over (order by first_period) as range_number
        from ranked
    )
    select
        strftime(min(first_period), '{{ text_format }}'),
        strftime(max(end_period), '{{ text_format }}'),
        count(*)
    from ranges group by range_number order by 1
{%- endmacro %}
