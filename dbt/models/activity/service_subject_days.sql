{{ config(
    unique_key=['date', 'service_name', 'player_id', 'event_name', 'subject', 'detail'],
    meta={
        'window': {'relation': 'affected_activity_dates', 'period': 'date', 'column': 'date'},
        'order_by': 'date'
    }
) }}
select
    event_at::date as date,
    service_name,
    player_id,
    event_name,
    coalesce(subject, 'unknown') as subject,
    -- Blank stands for none: a key without nulls.
    coalesce(detail, '') as detail,
    count(*) as occurrences
from {{ ref('attributed_events') }}
where event_name in ('FeatureUsed', 'Crash', 'Issue') and player_id is not null
    and {{ in_window('event_at', ref('affected_activity_dates'), 'date') }}
group by event_at::date, service_name, player_id, event_name, coalesce(subject, 'unknown'), coalesce(detail, '')
