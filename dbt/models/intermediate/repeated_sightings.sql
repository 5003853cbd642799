{{ config(
    unique_key=['source', 'service_name', 'session_id', 'session_started_at', 'version', 'hour'],
    incremental_predicates=[
        "(source, service_name, session_id, session_started_at) in"
        " (select source, service_name, session_id, session_started_at from staging.affected_sighted_sessions)"
    ],
    meta={'order_by': 'hour'}
) }}
-- A session is sighted once, as a rule: kept are the others, so that distinct sessions are sightings in
-- sessions less these, and these counted.
-- depends_on: {{ ref('affected_sighted_sessions') }}
with sighted as (
    select
        source, service_name, session_id, session_started_at, version,
        date_trunc('hour', event_at) as hour,
        count(*) as sightings
    from {{ ref('attributed_events') }}
    where version is not null and player_id is not null and session_started_at >= {{ first_open_date() }}
        {%- if is_incremental() %}
        and (source, service_name, session_id, session_started_at) in (
            select source, service_name, session_id, session_started_at
            from {{ ref('affected_sighted_sessions') }}
        )
        {%- endif %}
    group by source, service_name, session_id, session_started_at, version, date_trunc('hour', event_at)
),
again as (
    select source, service_name, session_id, session_started_at
    from sighted
    group by source, service_name, session_id, session_started_at
    having sum(sightings) > 1
)
select
    s.source, s.service_name, s.session_id, s.session_started_at, s.version, s.hour, s.sightings
from sighted s
join again a
    on a.source = s.source and a.service_name = s.service_name and a.session_id = s.session_id
    and a.session_started_at = s.session_started_at
{{ kept_rows() }}
