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

{# What a player did on the days of a group, as columns: in all, and on those on which they were active. #}
{% macro summed_player_days() -%}
    count(case when is_active then 1 end) as active_days,
    max(case when is_active then date end) as last_active_date,
    cast(sum(case when is_active then date - date '2000-01-01' end) as bigint) as active_date_sum,
    -- The device of that date: texts of dates are in the order of dates.
    substr(max({{ by_bytes("case when is_active then cast(date as varchar) || device end") }}), 11)
        as last_device,
    max(case when is_active and {{ last_days('date', 7, 7) }} then 1 else 0 end) = 1 as was_active_a_week_ago,
    cast(sum(sessions) as bigint) as sessions,
    sum(playtime_seconds) as playtime_seconds,
    sum(revenue_usd) as revenue_usd,
    sum(case when is_active then playtime_seconds else 0 end) as active_playtime_seconds,
    sum(case when is_active then revenue_usd else 0 end) as active_revenue_usd,
    {%- for measure in ['sessions', 'feature_uses', 'issues'] %}
    cast(sum(case when is_active then {{ measure }} else 0 end) as bigint) as active_{{ measure }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
