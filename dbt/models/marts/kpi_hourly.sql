{{ config(
    unique_key=['hour', 'studio', 'game', 'platform'],
    meta={
        'window': {'relation': 'affected_kpi_hours', 'period': 'hour', 'column': 'hour'},
        'publish': {'period': 'hour', 'column': 'hour'}
    }
) }}
with events as (
    select hour, studio, game, platform, revenue_usd
    from {{ ref('grain_hours') }}
    where {{ in_window('hour', ref('affected_kpi_hours'), 'hour') }}
),
active as (
    select hour, studio, game, platform, player_id
    from {{ ref('player_hours') }}
    where {{ in_window('hour', ref('affected_kpi_hours'), 'hour') }}
),
sessions as (
    select
        date_trunc('hour', started_at) as hour,
        {{ grain_label('studio') }} as studio,
        {{ grain_label('game') }} as game,
        {{ grain_label('platform') }} as platform,
        duration_seconds
    from {{ ref('stg_sessions') }}
    where {{ in_window('started_at', ref('affected_kpi_hours'), 'hour') }}
),
-- The minutes that a player's session lasts, cut at the hours.
running as (
    select
        {{ grain_label('studio') }} as studio,
        {{ grain_label('game') }} as game,
        {{ grain_label('platform') }} as platform,
        player_id,
        date_trunc('minute', started_at) as started_minute,
        date_trunc('minute', ended_at) as ended_minute
    from {{ ref('stg_sessions') }}
    where player_id is not null
        and {{ spans_window('started_at', 'ended_at', ref('affected_kpi_hours'), 'hour') }}
),
running_hours as ({{ spread_hours(
    'running', 'studio, game, platform, player_id, started_minute, ended_minute',
    "date_trunc('hour', started_minute)", "date_trunc('hour', ended_minute)"
) }}),
placed as (
    select distinct
        hour, studio, game, platform, player_id,
        greatest(started_minute, hour) as from_minute,
        least(ended_minute, hour + interval '59 minutes') as to_minute
    from running_hours
    where {{ in_window('hour', ref('affected_kpi_hours'), 'hour') }}
),
-- Nearly all players are in one session an hour, and there is nothing to put together.
busy as (
    select hour, player_id from placed group by hour, player_id having count(*) > 1
),
lone as (
    select p.hour, p.studio, p.game, p.platform, p.from_minute, p.to_minute
    from placed p
    left join busy b on b.hour = p.hour and b.player_id = p.player_id
    where b.player_id is null
),
spans as (
    select p.hour, {{ grain_columns() }}, p.player_id, p.from_minute, p.to_minute
    from placed p
    join busy b on b.hour = p.hour and b.player_id = p.player_id
    group by {{ grain_sets(['p.hour', 'p.player_id', 'p.from_minute', 'p.to_minute']) }}
),
-- A player in two sessions at once is one player: spans that meet become one.
marked as (
    select
        *,
        case when from_minute <= max(to_minute) over (
            partition by hour, studio, game, platform, player_id
            order by from_minute, to_minute rows between unbounded preceding and 1 preceding
        ) then 0 else 1 end as is_apart
    from spans
),
numbered as (
    select
        *,
        sum(is_apart) over (
            partition by hour, studio, game, platform, player_id
            order by from_minute, to_minute rows unbounded preceding
        ) as span_number
    from marked
),
stays as (
    select
        hour, studio, game, platform,
        min(from_minute) as from_minute,
        max(to_minute) + interval '1 minute' as end_minute
    from numbered
    group by hour, studio, game, platform, player_id, span_number
),
steps as (
    select hour, {{ grain_columns() }}, from_minute as minute, count(*) as players
    from lone group by {{ grain_sets(['hour', 'from_minute']) }}
    union all
    select hour, {{ grain_columns() }}, to_minute + interval '1 minute', -count(*)
    from lone group by {{ grain_sets(['hour', 'to_minute']) }}
    union all
    select hour, studio, game, platform, from_minute, 1 from stays
    union all
    select hour, studio, game, platform, end_minute, -1 from stays
),
minutes as (
    select
        hour, {{ grain_columns() }},
        sum((extract(epoch from (to_minute - from_minute)) / 60)::integer + 1) as player_minutes
    from lone group by {{ grain_sets(['hour']) }}
    union all
    select
        hour, studio, game, platform,
        sum((extract(epoch from (end_minute - from_minute)) / 60)::integer)
    from stays group by hour, studio, game, platform
),
levels as (
    select
        hour, studio, game, platform,
        sum(sum(players)) over (
            partition by hour, studio, game, platform order by minute rows unbounded preceding
        ) as players
    from steps
    group by hour, studio, game, platform, minute
),
parts as (
    select
        hour, {{ grain_columns() }},
        0 as active_players,
        0 as sessions,
        0 as playtime_seconds,
        sum(revenue_usd) as revenue_usd,
        0 as peak_players,
        0 as player_minutes
    from events group by {{ grain_sets(['hour']) }}
    union all
    select hour, {{ grain_columns() }}, count(distinct player_id), 0, 0, 0, 0, 0
    from active group by {{ grain_sets(['hour']) }}
    union all
    select hour, {{ grain_columns() }}, 0, count(*), sum(duration_seconds), 0, 0, 0
    from sessions group by {{ grain_sets(['hour']) }}
    union all
    select hour, studio, game, platform, 0, 0, 0, 0, max(players), 0
    from levels group by hour, studio, game, platform
    union all
    select hour, studio, game, platform, 0, 0, 0, 0, 0, player_minutes from minutes
),
measured as (
    select
        hour, studio, game, platform,
        sum(active_players)::bigint as active_players,
        sum(sessions)::bigint as sessions,
        sum(playtime_seconds)::double precision as playtime_seconds,
        coalesce(sum(revenue_usd), 0)::double precision as revenue_usd,
        sum(peak_players)::bigint as peak_concurrent_players,
        sum(player_minutes)::double precision / 60 as average_concurrent_players
    from parts
    group by hour, studio, game, platform
),
periods as (select distinct hour from measured),
waiting as ({{ waiting_grains('periods', 'hour') }})
select
    m.hour, m.studio, m.game, m.platform,
    m.active_players, m.sessions, m.playtime_seconds, m.revenue_usd,
    m.peak_concurrent_players, m.average_concurrent_players,
    -- Without an hour processed there is no now, and nothing is complete.
    coalesce(m.hour < now_at, false) and w.game is null as is_complete
from measured m
cross join {{ ref('processed_through') }}
left join waiting w on w.hour = m.hour and w.studio = m.studio and w.game = m.game
