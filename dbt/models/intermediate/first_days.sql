{{ config(
    unique_key=['studio', 'game', 'platform', 'player_id'],
    incremental_predicates=[
        "(studio, game, platform, player_id) in"
        " (select studio, game, platform, player_id from lake.changed_player_days)"
    ],
    meta={'note_changes_in': 'changed_first_days', 'order_by': 'first_active_date'}
) }}
-- Where the days that changed lie:
-- depends_on: {{ ref('affected_activity_dates') }}
{% if is_incremental() %}
-- What is there can only make a first day earlier; after a day or its purchases went, all days are
-- asked.
with changed_days as (
    select
        studio, game, platform, player_id, date,
        max(case when change = 'removed' and has_purchased then 1 else 0 end) as had_purchased
    from {{ source('lake', 'changed_player_days') }}
    group by studio, game, platform, player_id, date
),
changed as (
    select
        studio, game, platform, player_id,
        min(d.date) as first_present,
        min(case when d.has_purchased then d.date end) as first_purchased,
        max(case
            when d.date is null or (c.had_purchased = 1 and not d.has_purchased) then 1 else 0
        end) as is_asked
    from changed_days c
    left join (
        select * from {{ ref('player_days') }}
        where is_active and {{ in_window('date', ref('affected_activity_dates'), 'date') }}
    ) d using (date, studio, game, platform, player_id)
    group by studio, game, platform, player_id
),
candidates as (
    select studio, game, platform, player_id, first_present as active_date, first_purchased as purchase_date
    from changed where is_asked = 0
    union all
    select studio, game, platform, player_id, t.first_active_date, t.first_purchase_date
    from {{ this }} t
    join changed c using (studio, game, platform, player_id)
    where c.is_asked = 0
    union all
    select studio, game, platform, player_id, d.date, case when d.has_purchased then d.date end
    from {{ ref('player_days') }} d
    join changed c using (studio, game, platform, player_id)
    where c.is_asked = 1 and d.is_active
)
{% else %}
with candidates as (
    select
        studio, game, platform, player_id,
        date as active_date,
        case when has_purchased then date end as purchase_date
    from {{ ref('player_days') }}
    where is_active
)
{% endif %}
select
    studio, game, platform, player_id,
    min(active_date) as first_active_date,
    min(purchase_date) as first_purchase_date
from candidates
group by studio, game, platform, player_id
