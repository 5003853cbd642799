{{ config(
    unique_key=['player_id', 'service_name', 'device', 'version', 'date'],
    meta={
        'window': {'relation': 'affected_activity_dates', 'period': 'date', 'column': 'date'},
        'publish': {'period': 'date', 'column': 'date'},
        'order_by': 'date'
    }
) }}
select
    player_id,
    service_name,
    device,
    version,
    event_at::date as date,
    count(*) as sightings
from {{ ref('attributed_events') }}
where version is not null and player_id is not null
    and {{ in_window('event_at', ref('affected_activity_dates'), 'date') }}
group by player_id, service_name, device, version, event_at::date
