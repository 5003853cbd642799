select date
from {{ source('lake', 'affected_dates') }}
join {{ source('lake', 'loads') }} using (load_id)
cross join {{ ref('processed_through') }}
where not is_built and reason = 'progress' and (date = today - 1 or date = today + 1)
