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
    max(version_sort_key) as version_sort_key,
    hour::date as date,
    cast(sum(sightings) as bigint) as sightings
from {{ ref('sighting_hours') }}
where {{ in_window('hour', ref('affected_activity_dates'), 'date') }}
    and {{ among_affected_players('player_id', ref('affected_activity_players')) }}
group by player_id, service_name, device, version, hour::date
