{{ config(
    unique_key=['hour', 'service_name', 'device', 'version', 'player_id'],
    meta={
        'window': {'relation': 'affected_event_hours', 'period': 'hour', 'column': 'hour'},
        'order_by': 'hour'
    }
) }}
select
    date_trunc('hour', event_at) as hour,
    service_name,
    device,
    version,
    player_id,
    max(version_sort_key) as version_sort_key,
    min(event_at) as first_seen_at,
    max(event_at) as last_seen_at,
    count(*) as sightings,
    count(session_started_at) as session_sightings
from {{ ref('attributed_events') }}
where version is not null and player_id is not null
    and {{ in_window('event_at', ref('affected_event_hours'), 'hour') }}
group by 1, 2, 3, 4, 5
{{ kept_rows() }}
{{ laid_down_by('hour') }}
