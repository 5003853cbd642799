{{ config(
    unique_key=['service_name', 'version']
) }}
select
    service_name,
    version,
    max(version_sort_key) as version_sort_key,
    min(first_seen_at) as first_seen_at,
    max(last_seen_at) as last_seen_at,
    cast(sum(sightings) as bigint) as sightings
from {{ ref('version_days') }}
group by service_name, version
