{# The grains of a period that wait for ingest hours: any of the period, or of as many days before or
   after it as told, has not arrived. `periods` is a relation with the column `hour`, `date` or
   `month`; `kind` asks what one kind of source delivers only. #}
{% macro waiting_grains(periods, period, kind=none, days_before=0, days_after=0) %}
    with spans as (
        select distinct
            {{ period }},
            {{ period }} - interval '{{ days_before }} days' as start_at,
            {{ period }} + interval '{{ {'hour': '1 hour', 'date': '1 day', 'month': '1 month'}[period] }}'
                + interval '{{ days_after }} days' as end_at
        from {{ periods }}
    )
    select distinct p.{{ period }}, w.studio, w.game
    from spans p
    join {{ ref('grain_waits') }} w on w.first_hour < p.end_at and w.end_hour > p.start_at
    {% if kind %} where w.kind = '{{ kind }}' {% endif %}
{% endmacro %}
