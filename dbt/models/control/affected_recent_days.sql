{{ config(materialized='table') }}
-- Today is another date: the one before or after it has just made progress.
select date
from {{ source('lake', 'affected_dates') }}
join {{ source('lake', 'loads') }} using (load_id)
cross join {{ ref('processed_through') }}
where not is_built and reason = 'progress' and (date = today - 1 or date = today + 1)
union
-- A build that failed left its notes behind, and nobody knows which models have seen them.
select date from {{ source('lake', 'changed_subject_days') }}
