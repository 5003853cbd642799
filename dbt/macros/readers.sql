{# A role that may read the marts and nothing else, for people's tools: grant it to their logins.

   Runs at the end of every build, as a rebuilt table is a new table without grants. An embedded
   DuckDB file has no roles: there is nothing to do. A login that may not create roles leaves that
   to an administrator and says so; the build is none the worse. #}
{% macro grant_readers() %}
    {% if execute and flags.WHICH != 'compile' and target.type in ('postgres', 'redshift') %}
        {% set role = var('reader_role') %}
        {% if not reader_role_exists(role) and may_create_roles() %}
            {% do run_query('create role ' ~ adapter.quote(role)) %}
        {% endif %}
        {% if reader_role_exists(role) %}
            {{ grant_marts_to(role) }}
        {% else %}
            {% do log('There is no role ' ~ role ~ ', and this login may not create it: nobody is granted the marts', info=true) %}
        {% endif %}
    {% endif %}
{% endmacro %}

{% macro grant_marts_to(role) %}
    {% set schema = adapter.quote(generate_schema_name('marts', none)) %}
    {% set reader = ('role ' if target.type == 'redshift' else '') ~ adapter.quote(role) %}
    {% do run_query('create schema if not exists ' ~ schema) %}
    {% do run_query('grant usage on schema ' ~ schema ~ ' to ' ~ reader) %}
    {% do run_query('grant select on all tables in schema ' ~ schema ~ ' to ' ~ reader) %}
    {# Tables that another build makes are readable from their first moment on. #}
    {% do run_query('alter default privileges in schema ' ~ schema ~ ' grant select on tables to ' ~ reader) %}
{% endmacro %}

{% macro reader_role_exists(role) %}
    {% set catalog = 'svv_roles where role_name' if target.type == 'redshift' else 'pg_catalog.pg_roles where rolname' %}
    {% set found = run_query('select 1 from ' ~ catalog ~ " = '" ~ role | replace("'", "''") ~ "'") %}
    {{ return(found | length > 0) }}
{% endmacro %}

{% macro may_create_roles() %}
    {% if target.type == 'redshift' %}
        {% set found = run_query('select 1 from pg_user where usename = current_user and usesuper') %}
    {% else %}
        {% set found = run_query('select 1 from pg_catalog.pg_roles where rolname = current_user and (rolcreaterole or rolsuper)') %}
    {% endif %}
    {{ return(found | length > 0) }}
{% endmacro %}
