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

{% macro duckdb__spread(relation, columns, first, last, step, period) -%}
    select
        {{ columns }},
        unnest(generate_series(
            ({{ first }})::timestamp, ({{ last }})::timestamp, interval '1 {{ step }}'
        )){{ '::date' if period == 'date' }} as {{ period }}
    from {{ relation }}
{%- endmacro %}

{% macro postgres__spread(relation, columns, first, last, step, period) -%}
    select {{ columns }}, series.at{{ '::date' if period == 'date' }} as {{ period }}
    from {{ relation }}
    cross join lateral generate_series(
        ({{ first }})::timestamp, ({{ last }})::timestamp, interval '1 {{ step }}'
    ) as series(at)
{%- endmacro %}

{# Redshift makes series on its leader only: up to 10,000 periods by multiplication. #}
{% macro redshift__spread(relation, columns, first, last, step, period) -%}
    select {{ columns }}, dateadd({{ step }}, k.n, ({{ first }})::timestamp){{ '::date' if period == 'date' }} as {{ period }}
    from {{ relation }}
    join (
        select a.n + 10 * b.n + 100 * c.n + 1000 * d.n as n
        from {{ numbers(10) }} a
        cross join {{ numbers(10) }} b
        cross join {{ numbers(10) }} c
        cross join {{ numbers(10) }} d
    ) k on k.n <= datediff({{ step }}, ({{ first }})::timestamp, ({{ last }})::timestamp)
{%- endmacro %}
