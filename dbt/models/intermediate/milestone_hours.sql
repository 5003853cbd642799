{{ config(
    unique_key=[
        'hour', 'service_name', 'player_id', 'device', 'event_name', 'subject', 'detail', 'target_version'
    ],
    meta={
        'window': {'relation': 'affected_event_hours', 'period': 'hour', 'column': 'hour'},
        'order_by': 'hour'
    }
) }}
with events as (
    select
        date_trunc('hour', event_at) as hour,
        service_name,
        -- Blank stands for none: a key without nulls.
        coalesce(player_id, '') as player_id,
        device,
        event_name,
        coalesce(subject, 'unknown') as subject,
        coalesce(detail, 'unknown') as detail,
        coalesce(target_version, '') as target_version,
        case when target_version is not null then version_sort_key end as target_sort_key,
        event_at,
        transaction_id
    from {{ ref('attributed_events') }}
    where event_name in ('Install', 'Notification', 'ExperimentAssigned')
        and {{ in_window('event_at', ref('affected_event_hours'), 'hour') }}
),
placed as (
    select
        *,
        min(event_at) over (
            partition by hour, service_name, player_id, device, event_name, subject, detail, target_version
        ) as first_at
    from events
)
select
    hour, service_name, player_id, device, event_name, subject, detail, target_version,
    max(target_sort_key) as target_sort_key,
    count(*) as events,
    min(event_at) as first_at,
    max(event_at) as last_at,
    min(case when event_at = first_at then transaction_id end) as first_transaction_id
from placed
group by hour, service_name, player_id, device, event_name, subject, detail, target_version
{{ kept_rows() }}
{{ laid_down_by('hour') }}
