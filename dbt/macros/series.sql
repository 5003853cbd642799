{# The numbers from 0 up to, not including, `below`, as a relation with the column `n`. #}
{% macro numbers(below) -%}
    (
        {%- for n in range(below) %} select {{ n }} as n {{ 'union all' if not loop.last }} {%- endfor -%}
    )
{%- endmacro %}

{# The columns of a relation with one row for every hour from `first` to `last`, both starts of
   hours, in the column `hour`. #}
{% macro spread_hours(relation, columns, first, last) -%}
    {{ return(adapter.dispatch('spread')(relation, columns, first, last, 'hour', 'hour')) }}
{%- endmacro %}

{# The same for every date, in the column `date`. #}
{% macro spread_dates(relation, columns, first, last) -%}
    {{ return(adapter.dispatch('spread')(relation, columns, first, last, 'day', 'date')) }}
{%- endmacro %}

{% macro default__spread(relation, columns, first, last, step, period) -%}
    select
        {{ columns }},
        unnest(generate_series(
            ({{ first }})::timestamp, ({{ last }})::timestamp, interval '1 {{ step }}'
        )){{ '::date' if period == 'date' }} as {{ period }}
    from {{ relation }}
{%- endmacro %}
