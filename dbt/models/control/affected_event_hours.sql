select distinct hour
from {{ source('lake', 'affected_hours') }}
join {{ source('lake', 'loads') }} using (load_id)
where not is_built and reason = 'events' and hour >= {{ first_open_date() }}
