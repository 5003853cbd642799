{{ config(
    unique_key=['hour', 'studio', 'game', 'platform', 'service_name', 'event_name', 'has_player', 'has_session'],
    meta={
        'window': {'relation': 'affected_event_hours', 'period': 'hour', 'column': 'hour'},
        'order_by': 'hour'
    }
) }}
select
    date_trunc('hour', event_at) as hour,
    {{ grain_label('studio') }} as studio,
    {{ grain_label('game') }} as game,
    {{ grain_label('platform') }} as platform,
    service_name,
    event_name,
    is_activity and player_id is not null as has_player,
    session_started_at is not null as has_session,
    coalesce(sum(revenue_usd), 0)::decimal(38, 6) as revenue_usd
from {{ ref('attributed_events') }}
where {{ in_window('event_at', ref('affected_event_hours'), 'hour') }}
group by 1, 2, 3, 4, 5, 6, 7, 8
{{ kept_rows() }}
{{ laid_down_by('hour') }}
