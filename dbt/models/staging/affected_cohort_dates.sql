{{ config(materialized='table') }}
-- Read from what these models note of their changes:
-- depends_on: {{ ref('player_days') }}
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
-- Players who came into the cohort or left it.
select first_active_date as date from {{ source('lake', 'changed_first_days') }}
union
-- A day of play or payment that a day N, over by now, looks at.
select d.date - n.n
from (
    select distinct date from {{ source('lake', 'changed_player_days') }}
    union
    select date
    from {{ source('lake', 'affected_dates') }}
    join {{ source('lake', 'loads') }} using (load_id)
    where not is_built and reason = 'progress'
) d
cross join {{ numbers(31) }} n
cross join {{ ref('processed_through') }}
join horizons h on n.n <= h.day_n and d.date - n.n + h.day_n < now_at::date
union
-- Days N that came to their end.
select date - day_n
from {{ source('lake', 'affected_dates') }}
join {{ source('lake', 'loads') }} using (load_id)
cross join horizons
where not is_built and reason = 'progress'
union
-- Players whose last active day moved across a day N.
select f.first_active_date
from moved m
join {{ ref('first_days') }} f using (studio, game, platform, player_id)
cross join {{ ref('processed_through') }}
join horizons h on f.first_active_date + h.day_n > m.earliest
    and f.first_active_date + h.day_n <= m.latest
    and f.first_active_date + h.day_n < now_at::date
