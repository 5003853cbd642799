{{ config(
    unique_key=['player_id', 'service_name', 'device', 'version', 'date'],
    meta={
        'window': {
            'relation': 'affected_activity_dates', 'period': 'date', 'column': 'date',
            'affected_players': 'affected_activity_players'
        },
        'publish': {'period': 'date', 'column': 'date'},
        'order_by': 'date'
    }
) }}
select
    player_id,
    service_name,
    device,
    version,
    version_sort_key,
    event_at::date as date,
    count(*) as sightings
from {{ ref('attributed_events') }}
where version is not null and player_id is not null
    and {{ in_window('event_at', ref('affected_activity_dates'), 'date') }}
    and {{ among_affected_players('player_id', ref('affected_activity_players')) }}
group by player_id, service_name, device, version, version_sort_key, event_at::date
