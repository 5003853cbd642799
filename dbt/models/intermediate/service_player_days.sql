{{ config(
    unique_key=['date', 'service_name', 'player_id'],
    meta={
        'window': {
            'relation': 'affected_activity_dates', 'period': 'date', 'column': 'date',
            'affected_players': 'affected_activity_players'
        },
        'order_by': 'date'
    }
) }}
with events as (
    select
        event_at::date as date, service_name, player_id, device, version, event_at, transaction_id,
        session_id, event_name, is_activity, revenue_usd
    from {{ ref('attributed_events') }}
    where player_id is not null
        and {{ in_window('event_at', ref('affected_activity_dates'), 'date') }}
        and {{ among_affected_players('player_id', ref('affected_activity_players')) }}
),
sightings as (
    select
        date, service_name, player_id, version, device,
        row_number() over (
            partition by date, service_name, player_id
            order by event_at desc, {{ by_bytes('device') }} desc, transaction_id desc,
                {{ by_bytes("coalesce(session_id, '')") }} desc, {{ by_bytes('version') }} desc
        ) as place
    from events
    where version is not null
),
parts as (
    select
        date, service_name, player_id,
        cast(null as varchar) as version,
        cast(null as varchar) as device,
        max(case when is_activity then 1 else 0 end) as active,
        0 as sessions,
        cast(0 as decimal(18, 6)) as playtime_seconds,
        sum(coalesce(revenue_usd, 0)) as revenue_usd,
        count(case when event_name = 'FeatureUsed' then 1 end) as feature_uses,
        count(case when event_name in ('Crash', 'Issue') then 1 end) as issues
    from events
    group by date, service_name, player_id
    union all
    select date, service_name, player_id, version, device, 0, 0, 0, 0, 0, 0
    from sightings
    where place = 1
    union all
    select
        started_at::date, service_name, player_id, null, null, 0, count(*), sum(duration_seconds), 0, 0, 0
    from {{ ref('stg_sessions') }}
    where player_id is not null and started_at >= {{ first_open_date() }}
        and {{ in_window('started_at', ref('affected_activity_dates'), 'date') }}
        and {{ among_affected_players('player_id', ref('affected_activity_players')) }}
    group by started_at::date, service_name, player_id
)
select
    date, service_name, player_id,
    max(version) as version,
    max(device) as device,
    max(active) = 1 as is_active,
    cast(sum(sessions) as bigint) as sessions,
    cast(sum(playtime_seconds) as decimal(18, 6)) as playtime_seconds,
    cast(sum(revenue_usd) as decimal(18, 6)) as revenue_usd,
    cast(sum(feature_uses) as bigint) as feature_uses,
    cast(sum(issues) as bigint) as issues
from parts
group by date, service_name, player_id
{{ kept_rows() }}
{{ laid_down_by('date') }}
