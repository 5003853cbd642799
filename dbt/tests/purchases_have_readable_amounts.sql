{{ config(severity='warn') }}
-- A purchase whose amount is missing or no finite number brings no revenue.
select event_id, source, event_at
from {{ ref('attributed_events') }}
where event_name = 'Purchase' and amount is null
    and {{ built_rows('attributed_events') }}
