{{ config(materialized='view') }}
-- What a notification is of, and what became of it, are no names.
{%- set is_bundled = 's.service_name is not null' %}
{%- set is_named = is_bundled ~ " and p.event_name <> 'Notification'" %}
select
    p.event_id, {{ shown_service('s', 'p') }} as service_name, p.player_id, p.event_name, p.event_at, p.transaction_id,
    case when {{ is_named }} then 'other' else p.subject end as subject,
    case when {{ is_named }} then 'other' else p.detail end as detail,
    case when {{ is_bundled }} then 'other' else p.target_version end as target_version,
    case when {{ is_bundled }} then null else p.target_sort_key end as target_sort_key,
    p.device
from {{ ref('player_events') }} p
{{ join_bundled_services('s', 'p') }}
