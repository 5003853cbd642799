-- Read from what these models note of their changes:
-- depends_on: {{ ref('player_days') }}
-- depends_on: {{ ref('first_days') }}
-- depends_on: {{ ref('grain_first_dates') }}
with starts as (
    select
        min(first_date) as from_date,
        -- A grain that comes or goes affects all its dates, one whose start moves those between.
        case
            when sum(case when change = 'added' then 1 else -1 end) = 0 then max(first_date)
        end as to_date
    from {{ source('lake', 'changed_grain_first_dates') }}
    group by studio, game, platform
),
bounds as (
    select from_date, coalesce(to_date, today) as to_date
    from starts cross join {{ ref('processed_through') }}
),
progress as (
    select distinct date
    from {{ source('lake', 'affected_dates') }}
    join {{ source('lake', 'loads') }} using (load_id)
    where not is_built and reason = 'progress'
),
-- Dates that were over before and whose hours arrived since, or no longer have: what trails behind
-- them, or looked ahead at them, has another flag.
arrived as (
    select distinct date
    from {{ source('lake', 'affected_dates') }}
    join {{ source('lake', 'loads') }} using (load_id)
    where not is_built and reason = 'arrivals'
),
played as (select distinct date from {{ source('lake', 'changed_player_days') }})
select date from {{ ref('affected_activity_dates') }}
union
select date from progress
union
-- Trailing windows.
select date + n
from played cross join {{ numbers(30) }} r cross join {{ ref('processed_through') }}
where date + n <= today
union
-- Churn looks at 28 days, and its value appears when the last of them ends.
select date - n - 1
from played cross join {{ numbers(28) }} r cross join {{ ref('processed_through') }}
where date - n - 1 + 28 < now_at::date
union
select date - 28 from progress
union
select date + n
from arrived cross join {{ numbers(30) }} r cross join {{ ref('processed_through') }}
where date + n <= today
union
select date - n - 1 from arrived cross join {{ numbers(28) }} r
union
select date from {{ ref('affected_play_cohort_dates') }}
union
select first_purchase_date from {{ source('lake', 'changed_first_days') }}
where first_purchase_date is not null
union
select date from ({{ spread_dates('bounds', 'from_date', 'from_date', 'to_date') }}) s
