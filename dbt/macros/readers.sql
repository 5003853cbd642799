{# A role that may read the marts and nothing else, for people's tools: grant it to their logins.

   Runs at the end of every build, as a rebuilt table is a new table without grants. An embedded
   DuckDB file has no roles: there is nothing to do. A login that may not create roles leaves that
   to an administrator and says so; the build is none the worse.

   Tables with player ids are for a role of their own (variable player_reader_role). PostgreSQL
   gives every login the right to make temporary tables and large objects, with which a reader
   could fill the disk: both are taken from everybody but the database's owner. #}
{% macro grant_readers() %}
    {% if execute and flags.WHICH != 'compile' and target.type in ('postgres', 'redshift') %}
        {% set role = var('reader_role') %}
        {% if not reader_role_exists(role) and may_create_roles() %}
            {% do run_query('create role ' ~ adapter.quote(role)) %}
        {% endif %}
        {% if reader_role_exists(role) %}
            {{ grant_marts_to(role) }}
            {% do keep_player_ids_apart(role) %}
            {% do let_readers_only_read() %}
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

{# The marts with a column of player ids: from the readers to the readers of players, if there are any. #}
{% macro keep_player_ids_apart(role) %}
    {% set schema = generate_schema_name('marts', none) %}
    {% set found = run_query("select distinct table_name from information_schema.columns where column_name = 'player_id' and table_schema = '" ~ schema ~ "'") %}
    {% set players = var('player_reader_role') %}
    {% if not reader_role_exists(players) and may_create_roles() %}
        {% do run_query('create role ' ~ adapter.quote(players)) %}
    {% endif %}
    {% set word = 'role ' if target.type == 'redshift' else '' %}
    {% for row in found.rows %}
        {% set relation = adapter.quote(schema) ~ '.' ~ adapter.quote(row[0]) %}
        {% do run_query('revoke all on ' ~ relation ~ ' from ' ~ word ~ adapter.quote(role)) %}
        {% if reader_role_exists(players) %}
            {% do run_query('grant usage on schema ' ~ adapter.quote(schema) ~ ' to ' ~ word ~ adapter.quote(players)) %}
            {% do run_query('grant select on ' ~ relation ~ ' to ' ~ word ~ adapter.quote(players)) %}
        {% endif %}
    {% endfor %}
{% endmacro %}

{% macro let_readers_only_read() %}
    {% if target.type == 'postgres' %}
        {# Of a database of somebody else's nothing is revoked, which is a warning of the server. #}
        {% do run_query('revoke temporary on database ' ~ adapter.quote(target.dbname) ~ ' from public') %}
        {% set large = 'revoke execute on function lo_create(oid), lo_creat(integer), lo_from_bytea(oid, bytea) from public' %}
        {% if run_query('select 1 from pg_catalog.pg_roles where rolname = current_user and rolsuper') | length > 0 %}
            {% do run_query(large) %}
        {% elif run_query("select 1 where has_function_privilege('" ~ var('reader_role') | replace("'", "''") ~ "', 'lo_create(oid)', 'execute')") | length > 0 %}
            {% do log('Readers may make large objects; a superuser ends that: ' ~ large, info=true) %}
        {% endif %}
    {% endif %}
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
