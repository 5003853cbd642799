{{ config(materialized='table') }}
-- Read from what this model notes of its changes:
-- depends_on: {{ ref('last_days') }}
with horizons as (
    select 1 as day_n union all select 7 union all select 30
),
moved as (
    select
        studio, game, platform, player_id,
        min(last_active_date) as earliest,
        max(last_active_date) as latest
    from {{ source('lake', 'changed_last_days') }}
    group by studio, game, platform, player_id
)
select date from {{ ref('affected_play_cohort_dates') }}
union
-- Players whose last active day moved across a day N.
select f.first_active_date
from moved m
join {{ ref('first_days') }} f using (studio, game, platform, player_id)
cross join {{ ref('processed_through') }}
join horizons h on f.first_active_date + h.day_n > m.earliest
    and f.first_active_date + h.day_n <= m.latest
    and f.first_active_date + h.day_n < now_at::date
