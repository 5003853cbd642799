{{ config(
    unique_key=['event_id'],
    meta={'affected_sessions': true, 'order_by': 'event_at'}
) }}
-- A session is sighted with a version once, as a rule: kept are the others, so that distinct sessions are
-- sightings less these, and these counted. Sightings are found quickly: read twice, and not kept between.
-- Its sessions are asked for by these:
-- depends_on: {{ ref('affected_activity_dates') }}
-- depends_on: {{ ref('affected_activity_players') }}
{%- set since = earliest_affected_session() if is_incremental() and execute else none %}
{%- set sightings %}
    from {{ ref('attributed_events') }}
    where version is not null and player_id is not null and session_started_at is not null
        {%- if is_incremental() %}
        and {{ affected_sessions_predicate() }}
        -- The same once more, by which a warehouse skips what came before.
        {{ "and event_at >= '" ~ since ~ "'" if since }}
        {%- endif %}
{%- endset %}
with repeated as (
    select source, service_name, session_id, session_started_at, version {{ sightings }}
    group by source, service_name, session_id, session_started_at, version
    having count(*) > 1
)
select
    s.event_id, s.event_at, s.source, s.service_name, s.session_id, s.session_started_at, s.version, s.player_id
from (
    select event_id, event_at, source, service_name, session_id, session_started_at, version, player_id
    {{ sightings }}
) s
join repeated r
    on r.source = s.source and r.service_name = s.service_name and r.session_id = s.session_id
    and r.session_started_at = s.session_started_at and r.version = s.version
