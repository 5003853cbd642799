{# An hour's build on DuckDB asks each model little: what dbt does around a model there costs more than
   its rows. The platform says by KPI_PROJECT_IS_BUILT that all tables were made by this very project, so
   that no column can be another one and no contract can be broken; without it, or where a table is
   missing, a model is built as dbt builds it, checks included. What is of one run is never there before. #}
{% materialization incremental, adapter='duckdb' %}
    {%- if not is_as_built() -%}{{ return(dbt.materialization_incremental_duckdb()) }}{%- endif -%}
    {% call statement('main', auto_begin=False) %}
        begin;
        {{ replace_affected(this, columns_as_built(this), '(\n' ~ compiled_code ~ '\n)') }}
        commit;
    {% endcall %}
    {{ return({'relations': [this.incorporate(type='table')]}) }}
{% endmaterialization %}

{% materialization table, adapter='duckdb' %}
    {%- if not is_as_built() -%}{{ return(dbt.materialization_table_duckdb()) }}{%- endif -%}
    {% call statement('main', auto_begin=False) %}
        create or replace table {{ this }} as
        {{ compiled_code }}
    {% endcall %}
    {{ return({'relations': [this.incorporate(type='table')]}) }}
{% endmaterialization %}

{% macro is_as_built() -%}
    {%- if should_full_refresh() or env_var('KPI_PROJECT_IS_BUILT', '') != 'true' -%}{{ return(false) }}{%- endif -%}
    {%- if this.database != target.database -%}{{ return(true) }}{%- endif -%}
    {%- set existing = load_cached_relation(this) -%}
    {{ return(existing is not none and existing.is_table) }}
{%- endmacro %}

{# What holds for the whole database is said once in a run: said with each model's connection, as the
   profile's settings are, DuckDB gives its free memory back every time.

   The transactions of an update are small, and together they fill DuckDB's log: without the second setting
   some model pays a checkpoint for all before it. Closing the file makes one in any case. A build in full
   makes them as it goes, so that a dropped table's room is used again. #}
{% macro set_up_duckdb() -%}
    {%- if execute and target.type == 'duckdb' and flags.WHICH != 'compile' -%}
        {%- do run_query("set global memory_limit = '" ~ var('duckdb_memory') ~ "'") -%}
        {%- if env_var('KPI_PROJECT_IS_BUILT', '') == 'true' -%}
            {%- do run_query("set global wal_autocheckpoint = '256MB'") -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{# The columns of a table, in order, quoted: those of all tables are asked at once. #}
{% macro columns_as_built(relation) -%}
    {%- set tables = remembered('columns') -%}
    {%- if not tables -%}
        {%- set asked = "select schema_name || '.' || table_name, string_agg('\"' || column_name || '\"', ', ' order by column_index) from duckdb_columns() where database_name = '" ~ relation.database ~ "' and not internal group by all" -%}
        {%- for row in run_query(asked).rows -%}{%- do tables.update({row[0]: row[1]}) -%}{%- endfor -%}
    {%- endif -%}
    {{ return(tables[relation.schema ~ '.' ~ relation.identifier]) }}
{%- endmacro %}

{# What this run of dbt keeps under a name from one model to the next: a mapping, empty at first. #}
{% macro remembered(name) -%}
    {%- if graph.get('remembered_in') != invocation_id -%}
        {%- do graph.update({'remembered_in': invocation_id, 'remembered': {}}) -%}
    {%- endif -%}
    {{ return(graph['remembered'].setdefault(name, {})) }}
{%- endmacro %}
