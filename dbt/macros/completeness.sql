{# The grains of a period that wait for a source: it is active in the period, and the last ingest
   hour of the period has not arrived. `periods` is a relation with the column `hour`, `date` or
   `month`; `kind` asks the sources of one kind only. #}
{% macro waiting_grains(periods, period, kind=none) %}
    with ends as (
        select distinct
            {{ period }},
            {{ period }} + interval '{{ {'hour': '1 hour', 'date': '1 day', 'month': '1 month'}[period] }}' as end_at
        from {{ periods }}
    ),
    last_hours as (
        select
            p.{{ period }}, a.studio, a.game, a.since, a.newest_hour,
            date_trunc('hour', least(p.end_at, coalesce(a.until, p.end_at)) - interval '1 microsecond') as last_hour
        from ends p
        join {{ ref('source_arrivals') }} a
            on (a.until is null or a.until > p.{{ period }})
            {% if kind %} and a.kind = '{{ kind }}' {% endif %}
    )
    select {{ period }}, coalesce(studio, 'all') as studio, coalesce(game, 'all') as game
    from last_hours
    where last_hour >= {{ period }} and (since is null or since <= last_hour)
        and (newest_hour is null or newest_hour < last_hour)
    group by grouping sets (({{ period }}, studio, game), ({{ period }}, studio), ({{ period }}))
{% endmacro %}
