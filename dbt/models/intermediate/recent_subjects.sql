{{ config(materialized='table') }}
select
    s.service_name, s.version, s.event_name, s.subject, s.is_total,
    cast(sum(s.occurrences) as bigint) as occurrences,
    count(*) as players,
    cast(sum(s.days) as bigint) as days,
    cast(sum(s.days * s.days) as bigint) as days_squared,
    cast(sum(s.days * s.active_days) as bigint) as days_by_exposure
from (
    select
        u.service_name, u.version, u.event_name, u.subject, u.is_total, u.occurrences, p.active_days,
        -- What a console platform tells makes nobody active.
        least(u.days, p.active_days) as days
    from {{ ref('shown_subject_players') }} u
    join {{ ref('shown_version_players') }} p
        on p.service_name = u.service_name and p.version = u.version and p.player_id = u.player_id
) s
group by s.service_name, s.version, s.event_name, s.subject, s.is_total
