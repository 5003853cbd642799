select
    max(ingest_hour) + interval '1 hour' as now_at,
    max(ingest_hour)::date as today
from {{ ref('stg_hour_ledger') }}
where is_processed
