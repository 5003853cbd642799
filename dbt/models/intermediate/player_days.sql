{{ config(
    unique_key=['date', 'studio', 'game', 'platform', 'player_id'],
    meta={
        'window': {
            'relation': 'affected_activity_dates', 'period': 'date', 'column': 'date',
            'affected_players': 'affected_activity_players'
        },
        'note_changes_in': 'changed_player_days'
    }
) }}
with played as (
    select
        event_at::date as date,
        {{ grain_label('studio') }} as studio,
        {{ grain_label('game') }} as game,
        {{ grain_label('platform') }} as platform,
        player_id,
        max(case when is_activity then 1 else 0 end) as is_active,
        sum(revenue_usd) as net_usd,
        max(case when revenue_usd > 0 then 1 else 0 end) as has_purchased,
        max(case when event_name = 'Crash' then 1 else 0 end) as has_crashed
    from {{ ref('attributed_events') }}
    -- A refund makes nobody active, and is the payer's all the same.
    where (is_activity or revenue_usd <> 0) and player_id is not null
        and {{ in_window('event_at', ref('affected_activity_dates'), 'date') }}
        and {{ among_affected_players('player_id', ref('affected_activity_players')) }}
    group by 1, 2, 3, 4, 5
)
select
    date, {{ grain_columns() }}, player_id,
    max(is_active) = 1 as is_active,
    coalesce(sum(net_usd), 0)::decimal(38, 6) as net_usd,
    max(has_purchased) = 1 as has_purchased,
    max(has_crashed) = 1 as has_crashed
from played
group by {{ grain_sets(['date', 'player_id']) }}
{{ kept_rows() }}
{{ laid_down_by('date') }}
