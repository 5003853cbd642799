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
-- An event that left its session behind as it was has another in its place, of the same player.
-- depends_on: {{ ref('attributed_events') }}
-- depends_on: {{ ref('affected_event_hours') }}
-- depends_on: {{ ref('affected_events') }}
{%- if execute and not flags.FULL_REFRESH %}
union
select player_id
from {{ ref('attributed_events') }}
where player_id is not null
    and {{ window_predicate('event_at', ref('affected_event_hours'), 'hour') }}
    and {{ events_predicate('event_at', 'event_id', ref('affected_events')) }}
{%- endif %}
