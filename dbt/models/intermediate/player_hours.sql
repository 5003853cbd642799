{{ config(
    unique_key=['hour', 'studio', 'game', 'platform', 'player_id'],
    meta={
        'window': {'relation': 'affected_event_hours', 'period': 'hour', 'column': 'hour'},
        'order_by': 'hour'
    }
) }}
select distinct
    date_trunc('hour', event_at) as hour,
    {{ grain_label('studio') }} as studio,
    {{ grain_label('game') }} as game,
    {{ grain_label('platform') }} as platform,
    player_id
from {{ ref('attributed_events') }}
where is_activity and player_id is not null
    and {{ in_window('event_at', ref('affected_event_hours'), 'hour') }}
{{ kept_rows() }}
{{ laid_down_by('hour') }}
