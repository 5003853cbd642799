"""Which hours, dates and players a difference between old and new loaded rows affects, as SQL.

Belongs here: the statements that fill `lake.affected_hours`, `affected_dates`, `affected_players`,
`affected_sessions` and `affected_versions`. Does not: when they run (load.py), and the periods that
only dbt can know (trailing windows, moved first days: models/affected).

The statements read the temporary tables `added` and `removed` (a row that changed is in both) and
`staged_partitions` (the number and the key of each partition that is loaded), and take the
parameter `$load_id`.
"""

# Rows of lake.event_hours: something differs of a session, or of one player outside sessions, in an
# hour of event time. Copies in other ingest hours are not looked at, so an hour may be recomputed
# to the same rows.
EVENTS = (
    """
    insert into lake.changed_ingest_hours
    select distinct
        $load_id,
        split_part(p.partition_key, '/', 1)::date
            + to_hours(split_part(p.partition_key, '/', 2)::integer),
        hour::date
    from (
        select partition_id, hour from added
        union all
        select partition_id, hour from removed
    )
    join staged_partitions p using (partition_id)
    """,
    """
    insert into lake.affected_hours
    select distinct $load_id, hour, 'events'
    from (select hour from added union all select hour from removed)
    """,
    """
    insert into lake.affected_sessions
    select distinct $load_id, source, service_name, session_id
    from (
        select source, service_name, session_id from added
        union all
        select source, service_name, session_id from removed
    )
    where session_id <> ''
    """,
    """
    insert into lake.affected_players
    select distinct $load_id, own_player_id
    from (select own_player_id from added union all select own_player_id from removed)
    where own_player_id <> ''
    """,
)

# A refund is converted at the rate of the purchase that it names, which came before it.
PURCHASES = (
    """
    create or replace temp table affected_refunds as
    with changed as (
        select source, purchase_id, event_at from added where refund_of is null
        union all
        select source, purchase_id, event_at from removed where refund_of is null
    ),
    purchases as (select distinct source, purchase_id from changed)
    select distinct
        date_trunc('hour', r.event_at) as hour,
        r.source, r.service_name, r.session_id, r.own_player_id
    from lake.purchases r
    join purchases p on p.source = r.source and p.purchase_id = r.refund_of
    where r.event_at >= (select min(event_at) from changed)
    """,
    """
    insert into lake.affected_sessions
    select distinct $load_id, source, service_name, session_id from affected_refunds
    where session_id <> ''
    """,
    """
    insert into lake.affected_players
    select distinct $load_id, own_player_id from affected_refunds where own_player_id <> ''
    """,
    """
    insert into lake.affected_hours
    select distinct $load_id, hour, 'events' from affected_refunds
    where hour not in (
        select hour from lake.affected_hours where load_id = $load_id and reason = 'events'
    )
    """,
)

_SESSION_PAIRS = """
    create or replace temp table session_pairs as
    select
        source, service_name, session_id, started_at,
        r.ended_at as old_ended_at, a.ended_at as new_ended_at,
        r.source is null or a.source is null as is_one_sided,
        is_one_sided
            or r.player_id is distinct from a.player_id
            or r.platform != a.platform
            or r.device != a.device as is_reattributed,
        is_one_sided
            or r.platform != a.platform
            or r.duration_seconds != a.duration_seconds
            or (r.crash_count > 0) != (a.crash_count > 0) as is_remeasured
    from removed r full join added a using (source, service_name, session_id, started_at)
"""

# Events change hands where their session appears, vanishes or gets another player, platform or
# device; where only its end moves, those between the ends. A session's hours without events of
# its own are left out, and so are hours that are worked on whole already.
_REATTRIBUTED_HOURS = """
    create or replace temp table reattributed_hours as
    with spans as (
        select
            source, service_name, session_id,
            case when is_reattributed then started_at
                else least(old_ended_at, new_ended_at) + interval 1 microsecond end as span_from,
            coalesce(greatest(old_ended_at, new_ended_at), old_ended_at, new_ended_at) as span_to
        from session_pairs
        where is_reattributed or old_ended_at != new_ended_at
    )
    select source, service_name, session_id, span_from, span_to,
        unnest(generate_series(
            date_trunc('hour', span_from), date_trunc('hour', span_to), interval 1 hour
        )) as hour
    from spans
"""

SESSIONS = (
    _SESSION_PAIRS,
    _REATTRIBUTED_HOURS,
    """
    insert into lake.affected_hours
    select distinct $load_id, hour, 'running' from reattributed_hours
    """,
    """
    create or replace temp table reattributed_events as
    select distinct h.hour
    from reattributed_hours h
    join lake.event_hours e
        on e.source = h.source and e.service_name = h.service_name and e.session_id = h.session_id
        and e.hour = h.hour and e.last_at >= h.span_from
    where e.hour >= (select min(hour) from reattributed_hours)
    """,
    """
    insert into lake.affected_hours
    select distinct $load_id, hour, 'events' from reattributed_events
    where hour not in (
        select hour from lake.affected_hours where load_id = $load_id and reason = 'events'
    )
    """,
    """
    insert into lake.affected_hours
    select distinct $load_id, date_trunc('hour', started_at), 'sessions'
    from session_pairs where is_remeasured
    """,
    # What was one session, or will be, has sightings where nothing else differs.
    """
    insert into lake.affected_sessions
    select distinct $load_id, source, service_name, session_id
    from session_pairs where old_ended_at != new_ended_at
    """,
    """
    insert into lake.affected_players
    select distinct $load_id, player_id
    from (select player_id from added union all select player_id from removed)
    where player_id is not null
    """,
)

# An interval that ends is removed from one partition and added to another, maybe by another
# transaction of the load: both are kept until all are known.
INTERVALS = (
    """
    insert into lake.changed_intervals
    select player_id, service_name, device, valid_from, version, valid_to
    from (from removed union all from added)
    """,
)

# An interval in effect on a date, and one that was: where only the end moved, those from the first
# end on. Dates without a sighting take their version from there.
ALL_INTERVALS = (
    """
    insert into lake.affected_versions
    select distinct $load_id, service_name, player_id,
        case
            when count(*) > 1 and min(version) = max(version) then min(valid_to) else valid_from
        end,
        case when count(*) = count(valid_to) then max(valid_to) end
    from lake.changed_intervals
    group by player_id, service_name, device, valid_from
    having count(*) = 1
        or min(version) <> max(version)
        or count(distinct coalesce(valid_to, timestamp 'infinity')) > 1
    """,
    "delete from lake.changed_intervals",
)

STREAMS = (
    """
    insert into lake.affected_dates
    select distinct $load_id, hour::date, 'streams'
    from (select hour from added union all select hour from removed)
    """,
)

# Every build orders all versions anew; the newest date stands for that there is something to build.
SERVICES = (
    """
    insert into lake.affected_dates
    select $load_id, (max(end_hour) - interval 1 hour)::date, 'versions'
    from lake.source_hours where state = 'ran'
    having count(*) > 0
    """,
)

# The sources that are known before and after a load, and how far hours had run. A source that only
# its data knows is unassigned.
SOURCES = """
    create or replace temp table {side}_sources as
    select source, studio, game, kind from lake.sources
    union all
    select distinct source, 'unassigned', source, 'telemetry' from lake.source_hours
    where source <> '' and source not in (select source from lake.sources)
"""
NOW = """
    create or replace temp table {side}_now as
    select max(end_hour) as now_at from lake.source_hours where state = 'ran'
"""
MEASURED = (SOURCES, NOW)

# Hours that are waited for no longer, or newly, turn the flags of every period that meets them, and
# of the trailing windows of dates that were over before: the temporary table `turned` has them as
# ranges.
PROGRESS = (
    """
    insert into lake.affected_hours
    select distinct $load_id, unnest(generate_series(
        first_hour, end_hour - interval 1 microsecond, interval 1 hour
    )), 'progress'
    from turned
    """,
    """
    insert into lake.affected_dates
    select distinct $load_id, date::date, 'progress'
    from (
        select unnest(generate_series(
            date_trunc('day', first_hour), end_hour - interval 1 microsecond, interval 1 day
        )) as date
        from turned
    )
    cross join old_now o cross join new_now n
    -- What is not over is provisional anyway.
    where date + interval 1 day <= greatest(o.now_at, n.now_at)
    """,
    """
    insert into lake.affected_dates
    select distinct load_id, date, 'arrivals'
    from lake.affected_dates cross join old_now
    where load_id = $load_id and reason = 'progress' and date + 1 <= now_at
    """,
    """
    insert into lake.affected_hours
    select $load_id, unnest(generate_series(
        least(o.now_at, n.now_at),
        greatest(o.now_at, n.now_at) - interval 1 microsecond, interval 1 hour
    )), 'progress'
    from old_now o cross join new_now n
    """,
    """
    insert into lake.affected_dates
    select $load_id, unnest(generate_series(
        date_trunc('day', least(o.now_at, n.now_at) - interval 1 microsecond),
        greatest(o.now_at, n.now_at) - interval 1 microsecond, interval 1 day
    ))::date, 'progress'
    from old_now o cross join new_now n
    where o.now_at is distinct from n.now_at
    """,
    # What makes a player active depends on the kind of source that tells of it.
    """
    insert into lake.affected_hours
    select distinct $load_id, e.hour, 'events'
    from lake.event_hours e
    join old_sources o using (source) join new_sources n using (source)
    where o.kind != n.kind
    """,
    """
    insert into lake.affected_sessions
    select distinct $load_id, source, e.service_name, e.session_id
    from lake.event_hours e
    join old_sources o using (source) join new_sources n using (source)
    where o.kind != n.kind and e.session_id <> ''
    """,
    """
    insert into lake.affected_players
    select distinct $load_id, e.own_player_id
    from lake.event_hours e
    join old_sources o using (source) join new_sources n using (source)
    where o.kind != n.kind and e.own_player_id <> ''
    """,
    # A source that changed its studio or game takes its sessions along; its events come again.
    """
    insert into lake.affected_hours
    select distinct $load_id, date_trunc('hour', s.started_at), 'sessions'
    from lake.sessions s
    join old_sources o using (source) join new_sources n using (source)
    where o.studio != n.studio or o.game != n.game
    """,
    """
    insert into lake.affected_hours
    select distinct $load_id, unnest(generate_series(
        date_trunc('hour', s.started_at), date_trunc('hour', s.ended_at), interval 1 hour
    )), 'running'
    from lake.sessions s
    join old_sources o using (source) join new_sources n using (source)
    where o.studio != n.studio or o.game != n.game
    """,
)
