select distinct hour from {{ ref('affected_events') }} where event_id is null
