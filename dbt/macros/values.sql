{# The columns of kpi_values but the last, of one KPI. #}
{% macro value_of(kpi, period, column) -%}
    '{{ kpi }}' as kpi, {{ period }} as period, studio, game, platform,
    {{ column }}::double precision as value, '{{ definition_version(kpi) }}'::varchar as definition_version
{%- endmacro %}

{# The version of a KPI's definition: `version` in the `meta` of the metric of its name. #}
{% macro definition_version(kpi) -%}
    {%- if execute -%}
        {%- for metric in graph.metrics.values() if metric.name == kpi -%}
            {{ return(metric.config.get('meta', {}).get('version', 1)) }}
        {%- endfor -%}
    {%- endif -%}
    {{ return(1) }}
{%- endmacro %}
