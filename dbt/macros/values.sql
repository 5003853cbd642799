{# The columns of kpi_values but `is_complete`, of one KPI, which a column of a model holds. #}
{% macro value_of(kpi, period, model, column) -%}
    '{{ kpi }}'::varchar as kpi, {{ period }} as period, studio, game, platform,
    {{ column }}::double precision as value,
    '{{ definition_version(model ~ '.' ~ column) }}'::varchar as definition_version
{%- endmacro %}

{# The version of the definition of what `model.column` holds: that of the metric whose `meta` names
   the column; 1 while no metric does. #}
{% macro definition_version(column) -%}
    {%- if execute -%}
        {%- for metric in graph.metrics.values() if column in metric.config.get('meta', {}).get('columns', []) -%}
            {{ return(metric.config.meta.version) }}
        {%- endfor -%}
    {%- endif -%}
    {{ return(1) }}
{%- endmacro %}
