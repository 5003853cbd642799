{{ config(
    unique_key=['service_name', 'version', 'event_name', 'subject', 'is_total', 'player_id'],
    incremental_predicates=[recent_players_predicate('staging.affected_activity_players')],
    meta={'order_by': 'service_name, version'}
) }}
-- depends_on: {{ ref('affected_recent_days') }}
with days as (
    select service_name, version, event_name, subject, player_id, date, sum(occurrences) as occurrences
    from {{ ref('service_subject_days') }}
    where {{ last_days('date', 28) }}
        and {{ among_recent_players(ref('affected_activity_players')) }}
    group by service_name, version, event_name, subject, player_id, date
)
select
    service_name, version, event_name, subject, false as is_total, player_id,
    cast(sum(occurrences) as bigint) as occurrences,
    count(*) as days
from days
group by service_name, version, event_name, subject, player_id
union all
-- A player with two codes is one player with crashes, and a day with two is one day.
select
    service_name, version, event_name, '' as subject, true as is_total, player_id,
    cast(sum(occurrences) as bigint),
    count(distinct date)
from days
where event_name in ('Crash', 'Issue')
group by service_name, version, event_name, player_id
