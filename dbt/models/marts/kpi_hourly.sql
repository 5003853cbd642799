{{ config(
    unique_key=['hour', 'studio', 'game', 'platform'],
    meta={
        'window': {'relation': 'affected_kpi_hours', 'period': 'hour', 'column': 'hour'},
        'publish': {'period': 'hour', 'column': 'hour'}
    }
) }}
with events as (
    select
        date_trunc('hour', event_at) as hour,
        {{ grain_label('studio') }} as studio,
        {{ grain_label('game') }} as game,
        {{ grain_label('platform') }} as platform,
        case when is_activity then player_id end as active_player_id,
        sum(revenue_usd) as revenue_usd
    from {{ ref('attributed_events') }}
    where {{ in_window('event_at', ref('affected_kpi_hours'), 'hour') }}
    group by all
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
parts as (
    select
        hour, {{ grain_columns() }},
        count(distinct active_player_id) as active_players,
        0 as sessions,
        0 as playtime_seconds,
        sum(revenue_usd) as revenue_usd
    from events group by {{ grain_sets(['hour']) }}
    union all
    select hour, {{ grain_columns() }}, 0, count(*), sum(duration_seconds), 0
    from sessions group by {{ grain_sets(['hour']) }}
),
measured as (
    select
        hour, studio, game, platform,
        sum(active_players)::bigint as active_players,
        sum(sessions)::bigint as sessions,
        sum(playtime_seconds)::double as playtime_seconds,
        coalesce(sum(revenue_usd), 0)::double as revenue_usd
    from parts
    group by hour, studio, game, platform
),
periods as (select distinct hour from measured),
waiting as ({{ waiting_grains('periods', 'hour') }})
select
    m.*,
    -- Without an hour processed there is no now, and nothing is complete.
    coalesce(m.hour < now_at, false) and w.hour is null as is_complete
from measured m
cross join {{ ref('processed_through') }}
left join waiting w using (hour, studio, game)
