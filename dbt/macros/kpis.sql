{# What stands at the KPIs: `config.meta.kpis` of the columns that hold them (docs/add-a-kpi.md). #}

{# The KPIs that a model's columns hold, as their entries say, each with its `column`. #}
{% macro kpis_in(model) -%}
    {%- set found = [] -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.name == model -%}
        {%- for column in node.columns.values() -%}
            {%- for kpi in column.config.get('meta', {}).get('kpis', []) -%}
                {%- do found.append(dict(kpi, column=column.name)) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{# The version of each KPI's definition, by the KPI's name. #}
{% macro kpi_versions() -%}
    {%- set found = {} -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' -%}
        {%- for kpi in kpis_in(node.name) if 'version' in kpi -%}
            {%- do found.update({kpi.name: kpi.version}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{# Every value of kpi_values, of the tables [(model, rows, period)], as its entry says: `in_values` with the
   `name` there, and where they hold `day_n`, `complete_by` and `stays_provisional`. #}
{% macro values_in(tables) -%}
    {%- set found = [] -%}
    {%- if execute -%}
        {%- set versions = kpi_versions() -%}
        {%- for model, rows, period in tables -%}
            {%- for kpi in kpis_in(model) if 'in_values' in kpi -%}
                {%- if kpi.name not in versions -%}
                    {{ exceptions.raise_compiler_error(model ~ '.' ~ kpi.column ~ ': no column defines ' ~ kpi.name) }}
                {%- endif -%}
                {%- do found.append(dict(
                    kpi.in_values, column=kpi.column, rows=rows, period=period, version=versions[kpi.name]
                )) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(found) }}
{%- endmacro %}

{# Whether a value is complete: what looks beyond its period is with all that it looks at. #}
{% macro is_value_complete(value) -%}
    {{ 'false' if value.stays_provisional else value.get('complete_by', 'is_complete') }}
{%- endmacro %}
