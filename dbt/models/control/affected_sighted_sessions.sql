{{ config(materialized='table') }}
-- What there is now, and what `repeated_sightings` knows of before: whatever sighting comes, goes or
-- changes hands does so on an affected date, and its session is an affected player's.
-- depends_on: {{ ref('affected_activity_dates') }}
-- depends_on: {{ ref('affected_activity_players') }}
{%- set sighted = built_relation('staging', 'repeated_sightings') %}
select source, service_name, session_id, started_at as session_started_at
from {{ source('lake', 'sessions') }}
where {{ spans_predicate('started_at', 'ended_at', ref('affected_activity_dates'), 'date') if is_update() else 'false' }}
    and {{ affected_players_predicate('player_id', ref('affected_activity_players')) }}
    and started_at >= {{ first_open_date() }}
{%- if execute and is_update() %}
    -- Only these: between dates that lie scattered, sightings are not laid down.
    and exists (
        select 1 from {{ ref('affected_activity_dates') }} d
        where d.date between started_at::date and ended_at::date
    )
union
-- Of a session that is somebody else's, and was, nothing differs, and its sightings are not looked at.
select r.source, r.service_name, r.session_id, r.session_started_at
from {{ sighted }} r
left join {{ source('lake', 'sessions') }} s
    on s.source = r.source and s.service_name = r.service_name and s.session_id = r.session_id
    and s.started_at = r.session_started_at
where {{ window_predicate('r.hour', ref('affected_activity_dates'), 'date') }}
    and r.session_started_at >= {{ first_open_date() }}
    and (s.player_id is null or {{ affected_players_predicate('s.player_id', ref('affected_activity_players')) }})
{%- endif %}
