{{ config(materialized='view') }}
-- What a notification is of, and what became of it, are no names.
{%- set is_bundled = 's.service_name is not null' %}
{%- set is_named = is_bundled ~ " and h.event_name <> 'Notification'" %}
select
    h.hour, {{ shown_service('s', 'h') }} as service_name, h.player_id, h.device, h.event_name,
    case when {{ is_named }} then 'other' else h.subject end as subject,
    case when {{ is_named }} then 'other' else h.detail end as detail,
    case when {{ is_bundled }} then 'other' else h.target_version end as target_version,
    case when {{ is_bundled }} then null else h.target_sort_key end as target_sort_key,
    h.events, h.first_at, h.last_at, h.first_transaction_id
from {{ ref('milestone_hours') }} h
{{ join_bundled_services('s', 'h') }}
