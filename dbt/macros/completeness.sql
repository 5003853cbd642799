{# The grains of a period that wait for a source: it is active in the period, and the last ingest
   hour of the period has not arrived. `periods` is a relation with the column `hour` or `date`. #}
{% macro waiting_grains(periods, period) %}
    with last_hours as (
        select
            p.{{ period }}, a.studio, a.game, a.since, a.newest_hour,
            {% if period == 'date' %}
            least(
                p.date + interval 23 hour, date_trunc('hour', a.until - interval 1 microsecond)
            ) as last_hour
            {% else %}
            p.hour as last_hour
            {% endif %}
        from {{ periods }} p
        join {{ ref('source_arrivals') }} a
            on a.until is null or a.until > p.{{ period }}
    )
    select {{ period }}, coalesce(studio, 'all') as studio, coalesce(game, 'all') as game
    from last_hours
    where last_hour >= {{ period }} and (since is null or since <= last_hour)
        and (newest_hour is null or newest_hour < last_hour)
    group by grouping sets (({{ period }}, studio, game), ({{ period }}, studio), ({{ period }}))
{% endmacro %}
