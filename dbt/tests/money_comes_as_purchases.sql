{{ config(severity='warn') }}
-- Only events called Purchase bring or take back revenue. A refund under its own name is a kind that
-- the `names` of its source's mapping leave out: map it to Purchase, with negative_when.
select source, event_name, count(*) as events
from {{ ref('attributed_events') }}
where event_name != 'Purchase'
    and (
        lower(event_name) like '%refund%'
        or lower(event_name) like '%chargeback%'
        or lower(event_name) like '%purchase%'
    )
    and {{ built_rows('attributed_events') }}
group by source, event_name
