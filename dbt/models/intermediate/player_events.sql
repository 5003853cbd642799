{{ config(
    unique_key=['event_id'],
    meta={
        'window': {'relation': 'affected_event_hours', 'period': 'hour', 'column': 'event_at'},
        'order_by': 'event_at'
    }
) }}
select
    event_id, service_name, player_id, event_name, event_at, transaction_id,
    coalesce(subject, 'unknown') as subject,
    coalesce(detail, 'unknown') as detail,
    target_version,
    case when target_version is not null then version_sort_key end as target_sort_key,
    device
from {{ ref('attributed_events') }}
where event_name in ('Install', 'Notification', 'ExperimentAssigned')
    and {{ in_window('event_at', ref('affected_event_hours'), 'hour') }}
