{{ config(materialized='view') }}
-- What a notification is of, and what became of it, are no names.
with bundled as (
    select
        h.hour, h.player_id, h.device, h.event_name,
        case when h.event_name = 'Notification' then h.subject else 'other' end as subject,
        case when h.event_name = 'Notification' then h.detail else 'other' end as detail,
        h.events, h.first_at, h.last_at, h.first_transaction_id
    from {{ ref('milestone_hours') }} h
    join {{ ref('bundled_services') }} s on s.service_name = h.service_name
),
placed as (
    select *, min(first_at) over (partition by hour, player_id, device, event_name, subject, detail) as earliest_at
    from bundled
)
select
    hour, service_name, player_id, device, event_name, subject, detail, target_version, target_sort_key,
    events, first_at, last_at, first_transaction_id
from {{ ref('milestone_hours') }}
where service_name not in (select service_name from {{ ref('bundled_services') }})
union all
select
    hour, 'other', player_id, device, event_name, subject, detail, 'other', null,
    cast(sum(events) as bigint), min(first_at), max(last_at),
    min(case when first_at = earliest_at then first_transaction_id end)
from placed
group by hour, player_id, device, event_name, subject, detail
