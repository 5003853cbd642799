{{ config(
    unique_key=['date', 'studio', 'game', 'platform', 'player_id'],
    meta={
        'window': {'relation': 'affected_activity_dates', 'period': 'date', 'column': 'date'},
        'note_changes_in': 'changed_player_days'
    }
) }}
with active as (
    select distinct
        event_at::date as date,
        {{ grain_label('studio') }} as studio,
        {{ grain_label('game') }} as game,
        {{ grain_label('platform') }} as platform,
        player_id
    from {{ ref('attributed_events') }}
    where is_activity and player_id is not null
        and {{ in_window('event_at', ref('affected_activity_dates'), 'date') }}
)
select date, {{ grain_columns() }}, player_id
from active
group by {{ grain_sets(['date', 'player_id']) }}
