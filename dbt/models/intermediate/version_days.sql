{{ config(
    unique_key=['date', 'service_name', 'device', 'version'],
    meta={'window': {'relation': 'affected_activity_dates', 'period': 'date', 'column': 'date'}}
) }}
select
    event_at::date as date,
    service_name,
    device,
    version,
    max(version_sort_key) as version_sort_key,
    min(event_at) as first_seen_at,
    max(event_at) as last_seen_at,
    count(*) as sightings,
    count(session_started_at) as session_sightings
from {{ ref('attributed_events') }}
where version is not null and player_id is not null
    and {{ in_window('event_at', ref('affected_activity_dates'), 'date') }}
group by event_at::date, service_name, device, version
