{# The incremental strategy of all models: within its window a model becomes what its query now
   gives, rows whose keys vanish included, and rows that stay equal are not written. Keys are unique
   (each model has a test of it), so rows are compared as sets, both ways in one pass.

   Settings, in the model's `meta`:
     window: {relation, period, column}   the periods recomputed, of these only the players
                                          that `players` or `affected_players` name, a
                                          relation of the schema staging (`players`: lake) (else `incremental_predicates`, a
                                          condition on the rows; without either the whole model)
     publish: {period, column}            changed periods are noted in lake.changed_periods
     note_changes_in                      changed rows are noted in this table of the schema lake
   All of it is one transaction: whoever finds a note finds the change, and the other way round. #}
{% macro get_incremental_replace_affected_sql(arg_dict) %}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    {{ replace_affected(arg_dict['target_relation'], columns, arg_dict['temp_relation']) }}
{% endmacro %}

{# `new_rows`: a relation, or a query in parentheses. #}
{% macro replace_affected(target_relation, columns, new_rows) %}
    {%- set meta = config.get('meta', {}) -%}
    {%- set keys = config.get('unique_key') -%}
    {%- set differing = this.identifier ~ '__differing' -%}

    create temporary table {{ differing }} as
    select {{ columns }}, max(in_new_rows) as in_new_rows
    from (
        select {{ columns }}, 1 as in_new_rows from {{ new_rows }} as computed
        union all
        select {{ columns }}, 0 as in_new_rows from {{ target_relation }}
        where {{ replaced_rows(meta, config.get('incremental_predicates')) }}
    ) as both_sides
    group by {{ columns }}
    having max(in_new_rows) = min(in_new_rows);

    {% if meta.get('publish') %} {{ note_periods(meta['publish'], differing) }} {% endif %}
    {% if meta.get('note_changes_in') %}
        insert into lake.{{ meta['note_changes_in'] }} (change, {{ columns }})
        select case when in_new_rows = 1 then 'added' else 'removed' end, {{ columns }} from {{ differing }};
    {% endif %}

    delete from {{ target_relation }} using {{ differing }}
    where {{ differing }}.in_new_rows = 0
    {%- for key in keys %} and {{ this.identifier }}.{{ key }} = {{ differing }}.{{ key }} {%- endfor %};
    insert into {{ target_relation }} ({{ columns }})
    select {{ columns }} from {{ differing }} where in_new_rows = 1
    order by {{ meta.get('order_by', keys | join(', ')) }};

    drop table {{ differing }};
{% endmacro %}

{# A table built anew lies in the order in which updates add to it, and DuckDB reads of it the row groups
   of the dates asked for; the sort costs less than the first update saves. #}
{% macro laid_down_by(columns) -%}
    {%- if target.type == 'duckdb' and not is_incremental() -%} order by {{ columns }} {%- endif -%}
{%- endmacro %}

{% macro replaced_rows(meta, predicates) -%}
    {%- if meta.get('window') -%}
        {%- set window = meta['window'] -%}
        {%- set relation = built_relation('staging', window['relation']) -%}
        {%- set is_within = window_predicate(window['column'], relation, window['period']) -%}
        {%- if window.get('players') -%}
            {{ return(is_within ~ ' and ' ~ players_predicate('lake.' ~ window['players'])) }}
        {%- endif -%}
        {%- if window.get('affected_players') -%}
            {%- set players = built_relation('staging', window['affected_players']) -%}
            {{ return(is_within ~ ' and ' ~ affected_players_predicate('player_id', players)) }}
        {%- endif -%}
        {{ return(is_within) }}
    {%- endif -%}
    {{ return(predicates | join(' and ') if predicates else 'true') }}
{%- endmacro %}

{% macro built_relation(schema, name) -%}
    {{ return(api.Relation.create(database=target.database, schema=schema, identifier=name)) }}
{%- endmacro %}

{% macro note_periods(publish, differing) -%}
    {%- set periods -%}
        {%- if publish['period'] == 'all' -%} null::timestamp
        {%- else -%} date_trunc('{{ 'day' if publish['period'] == 'date' else publish['period'] }}', {{ publish['column'] }})
        {%- endif -%}
    {%- endset -%}
    insert into lake.changed_periods
    select distinct '{{ this.identifier }}', {{ periods }} from {{ differing }};
{%- endmacro %}
