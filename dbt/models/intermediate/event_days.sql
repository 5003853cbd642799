{{ config(
    unique_key=['date', 'studio', 'game', 'platform', 'requirement'],
    meta={'window': {'relation': 'affected_activity_dates', 'period': 'date', 'column': 'date'}}
) }}
with events as (
    select distinct hour::date as date, studio, game, platform, event_name, has_player, has_session
    from {{ ref('grain_hours') }}
    where {{ in_window('hour', ref('affected_activity_dates'), 'date') }}
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
