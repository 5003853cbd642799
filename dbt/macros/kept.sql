{# Days whose events may be gone are computed no more: what models made of them is kept in the lake
   (`kept_contributions`), and a build in full takes it from there. Only the embedded database has such
   days; elsewhere nothing is asked. #}
{% macro first_open_date() -%}
    {%- if target.type != 'duckdb' -%}date '0001-01-01'
    {%- else -%}(select coalesce(max(kept_through) + 1, date '0001-01-01') from lake.kept_days)
    {%- endif -%}
{%- endmacro %}

{# Ends the query of a model that reads events: in a build in full, its kept rows, of the columns that the
   model says it has. What dbt makes of a model for its tests says none. #}
{% macro kept_rows() -%}
    {%- if target.type == 'duckdb' and model.columns and not is_incremental() %}
union all by name
select
    {%- for column in model.columns.values() %}
    cast(contents ->> '$.{{ column.name }}' as {{ column.data_type }}) as {{ column.name }}{{ ',' if not loop.last }}
    {%- endfor %}
from lake.kept_rows
where model = '{{ this.identifier }}'
    {%- endif -%}
{%- endmacro %}
