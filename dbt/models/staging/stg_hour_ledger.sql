select
    source,
    p_ingest_date_utc + p_ingest_hour_utc * interval '1 hour' as ingest_hour,
    status = 'processed' as is_processed,
    status = 'processed' and lines > 0 as has_data
from {{ source('lake', 'hour_ledger') }}
