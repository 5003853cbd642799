{# What DuckDB, PostgreSQL and Redshift write differently, for the models of the questions. #}

{# A quotient as a double; null where there is nothing to divide by. #}
{% macro ratio(part, whole) -%}
    (cast({{ part }} as double precision) / nullif({{ whole }}, 0))
{%- endmacro %}

{# A text that sorts as people count: every run of digits filled up to 20 places, so that 1.9 comes
   before 1.10. Compared byte by byte, whatever the database's language. #}
{% macro natural_key(column) -%}{{ return(adapter.dispatch('natural_key')(column)) }}{%- endmacro %}

{% macro default__natural_key(column) -%}
    regexp_replace(
        regexp_replace({{ column }}, '([0-9]+)', '00000000000000000000\1', 'g'),
        '0*([0-9]{20})', '\1', 'g'
    )
{%- endmacro %}

{% macro postgres__natural_key(column) -%}
    ({{ default__natural_key(column) }} collate "C")
{%- endmacro %}

{% macro redshift__natural_key(column) -%}
    regexp_replace(
        regexp_replace({{ column }}, '([0-9]+)', '00000000000000000000$1'),
        '0*([0-9]{20})', '$1'
    )
{%- endmacro %}

{# Text in the order of its bytes. #}
{% macro by_bytes(column) -%}{{ return(adapter.dispatch('by_bytes')(column)) }}{%- endmacro %}
{% macro default__by_bytes(column) -%} {{ column }} {%- endmacro %}
{% macro postgres__by_bytes(column) -%} ({{ column }} collate "C") {%- endmacro %}
{% macro redshift__by_bytes(column) -%} {{ column }} {%- endmacro %}

{# Seconds from one timestamp to another, with fractions. #}
{% macro seconds_between(earlier, later) -%}
    {{ return(adapter.dispatch('seconds_between')(earlier, later)) }}
{%- endmacro %}
{% macro default__seconds_between(earlier, later) -%}
    cast(extract(epoch from ({{ later }} - {{ earlier }})) as double precision)
{%- endmacro %}
{% macro redshift__seconds_between(earlier, later) -%}
    (datediff(microsecond, {{ earlier }}, {{ later }}) / 1000000.0::double precision)
{%- endmacro %}

{# The median, between the two middle values where there are two. #}
{% macro median_of(column) -%}
    percentile_cont(0.5) within group (order by cast({{ column }} as double precision))
{%- endmacro %}

{# Now, so many days before: written out where the warehouse can be asked, as it skips what lies before a
   time that it reads, and nothing that it has to work out. A full refresh compiles offline. #}
{% macro now_at(days_before=0) -%}
    {%- set now = none if flags.FULL_REFRESH or not execute
        else affected_periods(ref('processed_through'), 'now_at') | first | default(none) -%}
    {%- if now -%}
    timestamp '{{ now - modules.datetime.timedelta(days=days_before) }}'
    {%- else -%}
    (select now_at - interval '{{ days_before }} days' from {{ ref('processed_through') }})
    {%- endif -%}
{%- endmacro %}

{# Whether a date lies not so many days before now, or more: said besides what is meant, so that a warehouse
   skips what lies before. #}
{% macro since_days_before(column, days) -%}
    {{ column }} >= cast({{ now_at(days) }} as date)
{%- endmacro %}

{# Whether a date is one of the last `days` UTC dates up to today, or up to `back` days before. #}
{% macro last_days(column, days, back=0) -%}
    {{ column }} > (select today - {{ days + back }} from {{ ref('processed_through') }})
    and {{ column }} <= (select today - {{ back }} from {{ ref('processed_through') }})
{%- endmacro %}

{# The texts of a group in order, separated by commas; null without any. #}
{% macro joined_texts(column) -%}{{ return(adapter.dispatch('joined_texts')(column)) }}{%- endmacro %}
{% macro default__joined_texts(column) -%} string_agg({{ column }}, ', ' order by {{ column }}) {%- endmacro %}
{% macro postgres__joined_texts(column) -%}
    string_agg({{ column }}, ', ' order by ({{ column }}) collate "C")
{%- endmacro %}
{% macro redshift__joined_texts(column) -%}
    listagg({{ column }}, ', ') within group (order by {{ column }})
{%- endmacro %}
