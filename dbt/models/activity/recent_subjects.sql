{{ config(materialized='table') }}
with told as (
    select service_name, version, event_name, subject, player_id, occurrences
    from {{ ref('service_subject_days') }}
    where {{ last_days('date', 28) }}
)
select
    service_name, version, event_name, subject, false as is_total,
    cast(sum(occurrences) as bigint) as occurrences,
    count(distinct player_id) as players
from told
group by service_name, version, event_name, subject
union all
-- A player with two codes is one player with crashes.
select
    service_name, version, event_name, '', true,
    cast(sum(occurrences) as bigint),
    count(distinct player_id)
from told
where event_name in ('Crash', 'Issue')
group by service_name, version, event_name
