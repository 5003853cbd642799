{{ config(
    unique_key=['date', 'studio', 'game', 'player_id'],
    meta={'window': {'relation': 'affected_activity_dates', 'period': 'date', 'column': 'date'}}
) }}
with events as (
    select
        event_at::date as date,
        {{ grain_label('e.studio') }} as studio,
        {{ grain_label('e.game') }} as game,
        -- A row without a player tells of nobody in particular.
        coalesce(player_id, '') as player_id,
        event_name,
        revenue_usd
    from {{ ref('attributed_events') }} e
    join {{ ref('stg_sources') }} s on s.source = e.source and s.kind = 'console'
    where {{ in_window('event_at', ref('affected_activity_dates'), 'date') }}
)
select
    date,
    coalesce(studio, 'all') as studio,
    coalesce(game, 'all') as game,
    player_id,
    count(case when event_name = 'Install' then 1 end) as installs,
    count(case when event_name = 'Trophy' then 1 end) as trophies,
    count(case when event_name = 'Subscription' then 1 end) as subscriptions,
    count(case when revenue_usd > 0 then 1 end) as purchases,
    coalesce(sum(revenue_usd), 0)::decimal(38, 6) as net_usd
from events
group by grouping sets ((date, player_id, studio, game), (date, player_id, studio), (date, player_id))
{{ kept_rows() }}
