select distinct hour::date as date
from {{ source('lake', 'affected_hours') }}
join {{ source('lake', 'loads') }} using (load_id)
where not is_built and reason in ('events', 'sessions') and hour >= {{ first_open_date() }}
