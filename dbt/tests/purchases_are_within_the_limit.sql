{{ config(severity='warn') }}
-- A purchase or refund beyond the limit is left out of revenue: a mistake, or a limit too low.
select event_id, source, event_at, amount, currency
from {{ ref('attributed_events') }}
where amount is not null and has_rate and revenue_usd is null
    and {{ built_rows('attributed_events') }}
