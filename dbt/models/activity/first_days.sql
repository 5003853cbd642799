{{ config(
    unique_key=['studio', 'game', 'platform', 'player_id'],
    incremental_predicates=[
        "(studio, game, platform, player_id) in"
        " (select (studio, game, platform, player_id) from lake.changed_player_days)"
    ],
    meta={'note_changes_in': 'changed_first_days', 'order_by': 'first_active_date'}
) }}
{% if is_incremental() %}
-- A day added can only make the first day earlier; after a day removed all days are asked.
with changed as (
    select
        studio, game, platform, player_id,
        min(date) filter (where change = 'added') as first_added,
        bool_or(change = 'removed') as is_asked
    from {{ source('lake', 'changed_player_days') }}
    group by studio, game, platform, player_id
),
candidates as (
    select studio, game, platform, player_id, first_added as date
    from changed where not is_asked
    union all
    select studio, game, platform, player_id, t.first_active_date
    from {{ this }} t semi join (from changed where not is_asked) c
        using (studio, game, platform, player_id)
    union all
    select studio, game, platform, player_id, d.date
    from {{ ref('player_days') }} d semi join (from changed where is_asked) c
        using (studio, game, platform, player_id)
)
select studio, game, platform, player_id, min(date) as first_active_date
from candidates
{% else %}
select studio, game, platform, player_id, min(date) as first_active_date
from {{ ref('player_days') }}
{% endif %}
group by studio, game, platform, player_id
