select
    currency,
    valid_from,
    lead(valid_from) over (partition by currency order by valid_from) as valid_to,
    usd_per_unit
from {{ ref('exchange_rates') }}
