{{ config(
    unique_key=['device'],
    meta={'publish': {'period': 'all'}}
) }}
select
    device,
    min(first_seen_at) as first_seen_at,
    max(last_seen_at) as last_seen_at,
    sum(sightings)::bigint as sightings
from {{ ref('version_days') }}
group by device
