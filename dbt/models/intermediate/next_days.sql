{{ config(
    unique_key=['date', 'studio', 'game', 'platform', 'player_id'],
    meta={
        'window': {
            'relation': 'affected_gap_dates', 'period': 'date', 'column': 'date', 'players': 'changed_player_days'
        },
        'order_by': 'date'
    }
) }}
with days as (
    select
        date, studio, game, platform, player_id,
        lead(date) over (partition by studio, game, platform, player_id order by date) as next_date
    from {{ ref('player_days') }}
    where is_active
        and {{ in_window('date', ref('affected_gap_dates'), 'date', days_after=30) }}
        and {{ among_players(source('lake', 'changed_player_days')) }}
)
select
    date, studio, game, platform, player_id,
    -- Nobody looks further, so that a day touches no more than the 30 before it.
    case when next_date <= date + 30 then next_date end as next_date
from days
where {{ in_window('date', ref('affected_gap_dates'), 'date') }}
{{ laid_down_by('date') }}
