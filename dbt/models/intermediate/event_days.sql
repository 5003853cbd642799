{{ config(
    unique_key=['date', 'studio', 'game', 'platform', 'requirement'],
    meta={'window': {'relation': 'affected_activity_dates', 'period': 'date', 'column': 'date'}}
) }}
with events as (
    select distinct
        event_at::date as date,
        {{ grain_label('studio') }} as studio,
        {{ grain_label('game') }} as game,
        {{ grain_label('platform') }} as platform,
        event_name,
        is_activity and player_id is not null as has_player,
        session_started_at is not null as has_session
    from {{ ref('attributed_events') }}
    where {{ in_window('event_at', ref('affected_activity_dates'), 'date') }}
)
select date, studio, game, platform, event_name as requirement
from events
where event_name in (
    'SoftwareVersion', 'SessionStart', 'SessionEnd', 'Install', 'Purchase', 'FeatureUsed', 'Notification',
    'ExperimentAssigned', 'Crash', 'Issue'
)
union
select date, studio, game, platform, 'player' from events where has_player
union
select date, studio, game, platform, 'session' from events where has_session
