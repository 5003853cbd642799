{# What stands in a grain column for a value from outside. 'all' is ours and names the total: a
   value that is called so, or so and '(reported)', gets one more '(reported)', so that no two
   values ever meet. #}
{% macro grain_label(column) -%}
    case
        when {{ column }} like 'all%' and {{ adapter.dispatch('is_reserved_label')(column) }} then {{ column }} || ' (reported)'
        else {{ column }}
    end
{%- endmacro %}

{% macro default__is_reserved_label(column) -%} {{ column }} ~ '^all( [(]reported[)])*$' {%- endmacro %}

{# PostgreSQL's anchors hold at the ends of the text; DuckDB's `~` means the whole text. #}
{% macro duckdb__is_reserved_label(column) -%} regexp_full_match({{ column }}, 'all( \(reported\))*') {%- endmacro %}

{# The grain columns of a query that groups by grain_sets. #}
{% macro grain_columns() -%}
    coalesce(studio, 'all') as studio, coalesce(game, 'all') as game, coalesce(platform, 'all') as platform
{%- endmacro %}

{# Groups by each game and platform and by every total: per game, per studio, of everything. #}
{% macro grain_sets(keys) -%}
    {%- set keys = keys | join(', ') -%}
    grouping sets (
        ({{ keys }}, studio, game, platform), ({{ keys }}, studio, game), ({{ keys }}, studio), ({{ keys }})
    )
{%- endmacro %}
