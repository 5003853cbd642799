-- Read from what these models note of their changes:
-- depends_on: {{ ref('player_days') }}
-- depends_on: {{ ref('first_days') }}
with horizons as (
    select 1 as day_n union all select 7 union all select 30
)
-- Players who came into the cohort or left it; not those who only paid for the first time. Whoever came
-- by one build that failed, and left by another, was in the cohort when it was built between them.
select distinct first_active_date as date
from (
    select first_active_date
    from {{ source('lake', 'changed_first_days') }}
    group by studio, game, platform, player_id, first_active_date
    having count(*) <> 2
        or count(case when change = 'added' then 1 end) <> 1
        or count(distinct coalesce(first_purchase_date, date '0001-01-01')) <> 2
) as moved
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
