{# What an incremental model recomputes. A window is a relation with the column `hour`, `date` or
   `month`; outside incremental runs everything is in it. Dates reach as many days before and after
   as told. #}
{% macro in_window(column, relation, period, days_before=0, days_after=0) -%}
    {%- if not is_incremental() -%}true{%- else -%}
        {{ return(window_predicate(column, relation, period, days_before, days_after)) }}
    {%- endif -%}
{%- endmacro %}

{# A condition that holds for the rows of the window's periods. Up to 8 ranges of neighbouring
   periods stand in the statement, by which a warehouse skips whatever does not hold them. It asks
   every row about every range, so more of them become 8 that leave out the widest gaps, and a semi
   join with the periods decides within these. #}
{% macro window_predicate(column, relation, period, days_before=0, days_after=0) -%}
    {%- if not execute -%}{{ return('true') }}{%- endif -%}
    {%- set islands = window_islands(relation, period, days_before, days_after) -%}
    {%- if not islands -%}{{ return('false') }}{%- endif -%}
    {%- set ranges = widest_apart(islands, 8) -%}
    {%- set terms = [] -%}
    {%- for range in ranges -%}
        {%- do terms.append("(" ~ column ~ " >= '" ~ range[0] ~ "' and " ~ column ~ " < '" ~ range[1] ~ "')") -%}
    {%- endfor -%}
    {%- set is_near = "(" ~ terms | join(" or ") ~ ")" -%}
    {%- if ranges | length == islands | length -%}{{ return(is_near) }}{%- endif -%}
    {%- set start = "date_trunc('" ~ ('day' if period == 'date' else period) ~ "', " ~ column ~ ")" -%}
    {%- set periods = window_periods(relation, period, days_before, days_after) -%}
    {{ return(is_near ~ " and " ~ start ~ " in (" ~ periods ~ ")") }}
{%- endmacro %}

{# Few players of a date may differ: true for those that `relation` names. #}
{% macro among_players(relation) -%}
    {%- if not is_incremental() -%}true{%- else -%}{{ return(players_predicate(relation)) }}{%- endif -%}
{%- endmacro %}

{% macro players_predicate(relation) -%}
    (studio, game, platform, player_id) in (select studio, game, platform, player_id from {{ relation }})
{%- endmacro %}

{# The same where a row is of one player and nobody else: true for those whose events, sessions or
   versions in effect differ. #}
{% macro among_affected_players(column, relation) -%}
    {%- if not is_incremental() -%}true{%- else -%}{{ return(affected_players_predicate(column, relation)) }}{%- endif -%}
{%- endmacro %}

{% macro affected_players_predicate(column, relation) -%}
    {{ column }} in (select player_id from {{ relation }})
{%- endmacro %}

{# The same for spans of time, inclusive at both ends: true for those that may meet the window. #}
{% macro spans_window(first, last, relation, period) -%}
    {%- if not is_incremental() -%}true{%- else -%}{{ return(spans_predicate(first, last, relation, period)) }}{%- endif -%}
{%- endmacro %}

{% macro spans_predicate(first, last, relation, period) -%}
    {%- if not execute -%}{{ return('true') }}{%- endif -%}
    {%- set terms = ['false'] -%}
    {%- for range in widest_apart(window_islands(relation, period, 0, 0), 8) -%}
        {%- do terms.append("(" ~ last ~ " >= '" ~ range[0] ~ "' and " ~ first ~ " < '" ~ range[1] ~ "')") -%}
    {%- endfor -%}
    {{ return("(" ~ terms | join(" or ") ~ ")") }}
{%- endmacro %}

{# What a test of a model looks at: the rows that the build could change, and those are all if the
   model is no incremental one, or if everything is built anew. #}
{% macro built_rows(name) -%}
    {%- if flags.FULL_REFRESH or not execute -%}{{ return('true') }}{%- endif -%}
    {%- set models = graph.nodes.values() | selectattr('resource_type', 'equalto', 'model') -%}
    {%- for node in models if node.name == name -%}
        {{ return(replaced_rows(node.config.get('meta', {}), node.config.get('incremental_predicates'))) }}
    {%- endfor -%}
    {{ return('true') }}
{%- endmacro %}

{% macro window_periods(relation, period, days_before, days_after) -%}
    {%- if period != 'date' -%}
    select {{ period }}::timestamp from {{ relation }}
    {%- else -%}
    select (date + n - {{ days_before }})::timestamp
    from {{ relation }} cross join {{ numbers(days_before + days_after + 1) }} days
    {%- endif -%}
{%- endmacro %}

{# The window as half-open ranges between which nothing is affected, in order. #}
{% macro window_islands(relation, period, days_before, days_after) -%}
    {%- set day = modules.datetime.timedelta(days=1) -%}
    {%- set islands = [] -%}
    {%- for start in affected_periods(relation, period) -%}
        {%- set first = start - days_before * day -%}
        {%- if period == 'hour' -%}{%- set end = start + modules.datetime.timedelta(hours=1) -%}
        {%- elif period == 'month' -%}{%- set end = (start + 31 * day).replace(day=1) -%}
        {%- else -%}{%- set end = start + (days_after + 1) * day -%}
        {%- endif -%}
        {%- if islands and first <= islands[-1][1] -%}
            {%- set joined = islands.pop() -%}
            {%- do islands.append((joined[0], end)) -%}
        {%- else -%}
            {%- do islands.append((first, end)) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(islands) }}
{%- endmacro %}

{# The periods that a relation names, in order. It is asked once in a run: all that it reads is finished
   before anything is built on it. #}
{% macro affected_periods(relation, period) -%}
    {%- set known = remembered('periods') -%}
    {%- set name = relation ~ '.' ~ period -%}
    {%- if name not in known -%}
        {%- set found = run_query("select distinct " ~ period ~ " from " ~ relation ~ " where " ~ period ~ " is not null order by 1") -%}
        {%- do known.update({name: found.columns[0].values()}) -%}
    {%- endif -%}
    {{ return(known[name]) }}
{%- endmacro %}

{# At most `most` ranges that hold the islands, apart where the gaps are widest. #}
{% macro widest_apart(islands, most) -%}
    {%- if islands | length <= most -%}{{ return(islands) }}{%- endif -%}
    {%- set gaps = [] -%}
    {%- for number in range(1, islands | length) -%}
        {%- do gaps.append((islands[number][0] - islands[number - 1][1], number)) -%}
    {%- endfor -%}
    {%- set cuts = (gaps | sort(reverse=true))[:most - 1] | map(attribute=1) | sort -%}
    {%- set ranges = [] -%}
    {%- for first, end in zip([0] + cuts, cuts + [islands | length]) -%}
        {%- do ranges.append((islands[first][0], islands[end - 1][1])) -%}
    {%- endfor -%}
    {{ return(ranges) }}
{%- endmacro %}

{# As dbt's own; a full refresh is known without asking the warehouse, so that it compiles offline. #}
{% macro is_incremental() -%}
    {%- if flags.FULL_REFRESH -%}{{ return(false) }}{%- endif -%}
    {{ return(dbt.is_incremental()) }}
{%- endmacro %}

{# Whether what is affected is built, and not everything: the same for tables that are made anew in any
   case, of which a window is looked at. #}
{% macro is_update() -%}{{ return(not flags.FULL_REFRESH) }}{%- endmacro %}
