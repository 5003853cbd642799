{# The columns of kpi_values but `is_complete`, of one KPI, which a column of a model holds. #}
{% macro value_of(kpi, period, model, column) -%}
    '{{ kpi }}'::varchar as kpi, {{ period }} as period, studio, game, platform,
    {{ column }}::double precision as value,
    '{{ definition_version(kpi, model ~ '.' ~ column) }}'::varchar as definition_version
{%- endmacro %}

{# The version of a KPI's definition: that of the metric called so, else (`monthly_x` is x of a month)
   of the one whose `meta` names the column. A KPI that nothing defines does not compile. #}
{% macro definition_version(kpi, column) -%}
    {%- if not execute -%}{{ return(1) }}{%- endif -%}
    {%- for metric in graph.metrics.values() if metric.name == kpi -%}
        {{ return(metric.config.meta.version) }}
    {%- endfor -%}
    {%- for metric in graph.metrics.values() if column in metric.config.get('meta', {}).get('columns', []) -%}
        {{ return(metric.config.meta.version) }}
    {%- endfor -%}
    {{ exceptions.raise_compiler_error('no metric defines ' ~ kpi ~ ' (' ~ column ~ ')') }}
{%- endmacro %}
