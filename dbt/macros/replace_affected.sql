{# The incremental strategy of all models: within its window a model becomes what its query now
   gives, rows whose keys vanish included, and rows that stay equal are not written. Keys are unique
   (each model has a test of it), so `except` suffices: `except all` takes up to 3 times as long.

   Settings, in the model's `meta`:
     window: {relation, period, column}   the periods recomputed, of these only the events or players
                                          that `events`, `players` or `affected_players` name, a
                                          relation of the schema staging (`players`: lake) (else `incremental_predicates`, a
                                          condition on the rows; without either the whole model)
     publish: {period, column}            changed periods are noted in lake.changed_periods
     note_changes_in                      changed rows are noted in this table of the schema lake
   All of it is one transaction: whoever finds a note finds the change, and the other way round. #}
{% macro get_incremental_replace_affected_sql(arg_dict) %}
    {%- set target_relation = arg_dict['target_relation'] -%}
    {%- set meta = config.get('meta', {}) -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    {%- set removed = this.identifier ~ '__removed' -%}
    {%- set added = this.identifier ~ '__added' -%}
    {%- set old_rows -%}
        select {{ columns }} from {{ target_relation }}
        where {{ replaced_rows(meta, arg_dict['incremental_predicates']) }}
    {%- endset -%}
    {%- set new_rows -%} select {{ columns }} from {{ arg_dict['temp_relation'] }} {%- endset %}

    create temporary table {{ removed }} as {{ old_rows }} except {{ new_rows }};
    create temporary table {{ added }} as {{ new_rows }} except {{ old_rows }};

    {% if meta.get('publish') %} {{ note_periods(meta['publish'], removed, added) }} {% endif %}
    {% if meta.get('note_changes_in') %}
        insert into lake.{{ meta['note_changes_in'] }} (change, {{ columns }})
        select 'removed', {{ columns }} from {{ removed }}
        union all select 'added', {{ columns }} from {{ added }};
    {% endif %}

    delete from {{ target_relation }} using {{ removed }}
    where {% for key in arg_dict['unique_key'] %} {{ this.identifier }}.{{ key }} = {{ removed }}.{{ key }} {{ 'and' if not loop.last }} {% endfor %};
    insert into {{ target_relation }} ({{ columns }})
    select {{ columns }} from {{ added }} order by {{ meta.get('order_by', arg_dict['unique_key'] | join(', ')) }};

    drop table {{ removed }};
    drop table {{ added }};
{% endmacro %}

{% macro replaced_rows(meta, predicates) -%}
    {%- if meta.get('window') -%}
        {%- set window = meta['window'] -%}
        {%- set relation = api.Relation.create(
            database=target.database, schema='staging', identifier=window['relation']) -%}
        {%- set is_within = window_predicate(window['column'], relation, window['period']) -%}
        {%- if window.get('players') -%}
            {{ return(is_within ~ ' and ' ~ players_predicate('lake.' ~ window['players'])) }}
        {%- endif -%}
        {%- if window.get('affected_players') -%}
            {%- set players = api.Relation.create(
                database=target.database, schema='staging', identifier=window['affected_players']) -%}
            {{ return(is_within ~ ' and ' ~ affected_players_predicate('player_id', players)) }}
        {%- endif -%}
        {%- if not window.get('events') -%}{{ return(is_within) }}{%- endif -%}
        {%- set events = api.Relation.create(
            database=target.database, schema='staging', identifier=window['events']) -%}
        {{ return(is_within ~ ' and ' ~ events_predicate(window['column'], 'event_id', events)) }}
    {%- endif -%}
    {{ return(predicates | join(' and ') if predicates else 'true') }}
{%- endmacro %}

{% macro note_periods(publish, removed, added) -%}
    {%- set periods -%}
        {%- if publish['period'] == 'all' -%} null::timestamp
        {%- else -%} date_trunc('{{ 'day' if publish['period'] == 'date' else publish['period'] }}', {{ publish['column'] }})
        {%- endif -%}
    {%- endset -%}
    insert into lake.changed_periods
    select distinct '{{ this.identifier }}', {{ periods }}
    from (select * from {{ removed }} union all select * from {{ added }}) as changed;
{%- endmacro %}
