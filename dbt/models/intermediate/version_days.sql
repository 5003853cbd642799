{{ config(
    unique_key=['date', 'service_name', 'device', 'version'],
    meta={'window': {'relation': 'affected_activity_dates', 'period': 'date', 'column': 'date'}}
) }}
select
    hour::date as date,
    service_name,
    device,
    version,
    max(version_sort_key) as version_sort_key,
    min(first_seen_at) as first_seen_at,
    max(last_seen_at) as last_seen_at,
    cast(sum(sightings) as bigint) as sightings,
    cast(sum(session_sightings) as bigint) as session_sightings
from {{ ref('sighting_hours') }}
where {{ in_window('hour', ref('affected_activity_dates'), 'date') }}
group by hour::date, service_name, device, version
