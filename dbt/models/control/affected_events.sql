select distinct hour, event_id
from {{ source('lake', 'affected_events') }}
join {{ source('lake', 'loads') }} using (load_id)
where not is_built
