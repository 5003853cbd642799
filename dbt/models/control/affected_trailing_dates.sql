-- Read from what this model notes of its changes:
-- depends_on: {{ ref('player_days') }}
select date + n as date
from (select distinct date from {{ source('lake', 'changed_player_days') }}) played
cross join {{ numbers(30) }} r
cross join {{ ref('processed_through') }}
where date + n <= today
union
select date
from {{ source('lake', 'affected_dates') }}
join {{ source('lake', 'loads') }} using (load_id)
where not is_built and reason = 'progress'
