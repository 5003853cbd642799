{{ config(severity='warn') }}
-- Purchases in these currencies bring no revenue until seeds/exchange_rates.csv knows them.
select currency, count(*) as purchases
from {{ ref('attributed_events') }}
where amount is not null and not has_rate
    and {{ built_rows('attributed_events') }}
group by currency
