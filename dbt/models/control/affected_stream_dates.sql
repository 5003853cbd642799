select distinct date
from {{ source('lake', 'affected_dates') }}
join {{ source('lake', 'loads') }} using (load_id)
where not is_built
