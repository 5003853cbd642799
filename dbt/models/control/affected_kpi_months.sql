select distinct date_trunc('month', date)::date as month
from {{ ref('affected_kpi_dates') }}
