{# A role that may read the marts and nothing else, for people's tools: grant it to their logins.

   Runs at the end of every build, as a rebuilt table is a new table without grants. An embedded
   DuckDB file has no roles: there is nothing to do. #}
{% macro grant_readers() %}
    {% if execute and target.type in ('postgres', 'redshift') %}
        {% set role = var('reader_role') %}
        {% set schema = adapter.quote(generate_schema_name('marts', none)) %}
        {% if not reader_role_exists(role) %}
            {% do run_query('create role ' ~ adapter.quote(role)) %}
        {% endif %}
        {% set reader = ('role ' if target.type == 'redshift' else '') ~ adapter.quote(role) %}
        {% do run_query('create schema if not exists ' ~ schema) %}
        {% do run_query('grant usage on schema ' ~ schema ~ ' to ' ~ reader) %}
        {% do run_query('grant select on all tables in schema ' ~ schema ~ ' to ' ~ reader) %}
        {# Tables that another build makes are readable from their first moment on. #}
        {% do run_query(
            'alter default privileges in schema ' ~ schema ~ ' grant select on tables to ' ~ reader
        ) %}
    {% endif %}
{% endmacro %}

{% macro reader_role_exists(role) %}
    {% set catalog = 'svv_roles where role_name' if target.type == 'redshift' else 'pg_catalog.pg_roles where rolname' %}
    {% set found = run_query('select 1 from ' ~ catalog ~ " = '" ~ role | replace("'", "''") ~ "'") %}
    {{ return(found | length > 0) }}
{% endmacro %}
