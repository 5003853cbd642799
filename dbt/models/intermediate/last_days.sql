{{ config(
    unique_key=['studio', 'game', 'platform', 'player_id'],
    incremental_predicates=[
        "(studio, game, platform, player_id) in"
        " (select studio, game, platform, player_id from lake.changed_player_days)"
    ],
    meta={'note_changes_in': 'changed_last_days', 'order_by': 'last_active_date'}
) }}
-- Where the days that changed lie:
-- depends_on: {{ ref('affected_activity_dates') }}
{% if is_incremental() %}
-- A day that is there can only make the last day later; after one went all days are asked.
with changed_days as (
    select distinct studio, game, platform, player_id, date
    from {{ source('lake', 'changed_player_days') }}
),
changed as (
    select
        studio, game, platform, player_id,
        max(d.date) as last_present,
        max(case when d.date is null then 1 else 0 end) as is_asked
    from changed_days c
    left join (
        select * from {{ ref('player_days') }}
        where is_active and {{ in_window('date', ref('affected_activity_dates'), 'date') }}
    ) d using (date, studio, game, platform, player_id)
    group by studio, game, platform, player_id
),
candidates as (
    select studio, game, platform, player_id, last_present as date
    from changed where is_asked = 0
    union all
    select studio, game, platform, player_id, t.last_active_date
    from {{ this }} t
    join changed c using (studio, game, platform, player_id)
    where c.is_asked = 0
    union all
    select studio, game, platform, player_id, d.date
    from {{ ref('player_days') }} d
    join changed c using (studio, game, platform, player_id)
    where c.is_asked = 1 and d.is_active
)
select studio, game, platform, player_id, max(date) as last_active_date
from candidates
{% else %}
select studio, game, platform, player_id, max(date) as last_active_date
from {{ ref('player_days') }}
where is_active
{% endif %}
group by studio, game, platform, player_id
