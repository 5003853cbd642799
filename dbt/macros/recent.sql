{# What is summed over the last 28 dates changes for the players who did something else, and for all once
   a day when these dates move on: today is then another date, and the one before or after it has just
   made progress. #}
{% macro among_recent_players(relation) -%}
    {%- if not is_incremental() -%}true{%- else -%}{{ return(recent_players_predicate(relation)) }}{%- endif -%}
{%- endmacro %}

{% macro recent_players_predicate(relation) -%}
    (
        player_id in (select player_id from {{ relation }})
        or exists (select 1 from staging.affected_recent_days)
    )
{%- endmacro %}

{# Whether all players are asked: known while a model is compiled. #}
{% macro recent_days_moved(relation) -%}
    {{ return(affected_periods(relation, 'date') | length > 0) }}
{%- endmacro %}
