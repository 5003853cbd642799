select
    max(end_hour) as now_at,
    (max(end_hour) - interval '1 hour')::date as today
from {{ ref('stg_source_hours') }}
where state = 'ran'
