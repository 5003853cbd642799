{{ config(materialized='table') }}
select player_id
from {{ source('lake', 'affected_players') }}
join {{ source('lake', 'loads') }} using (load_id)
where not is_built
union
-- Days without a sighting have the version in effect.
select player_id
from {{ source('lake', 'affected_versions') }}
join {{ source('lake', 'loads') }} using (load_id)
where not is_built
union
-- An event may change, or another come in its place, and leave its session as it was.
select s.player_id
from {{ source('lake', 'affected_sessions') }} a
join {{ source('lake', 'loads') }} l on l.load_id = a.load_id and not l.is_built
join {{ source('lake', 'sessions') }} s
    on s.source = a.source and s.service_name = a.service_name and s.session_id = a.session_id
where s.player_id is not null
