with starts as (
    select
        min(first_date) as from_date,
        -- A grain that comes or goes affects all its dates, one whose start moves those between.
        case
            when count(*) filter (where change = 'added') = count(*) filter (where change = 'removed')
            then max(first_date)
        end as to_date
    from {{ source('lake', 'changed_grain_starts') }}
    group by studio, game, platform
)
select date from {{ ref('affected_activity_dates') }}
union
select date
from {{ source('lake', 'affected_dates') }}
join {{ source('lake', 'loads') }} using (load_id)
where not is_built
union
select date + days::integer
from (select distinct date from {{ source('lake', 'changed_player_days') }})
cross join range(30) as r(days)
cross join {{ ref('processed_through') }}
where date + days::integer <= today
union
select first_active_date from {{ source('lake', 'changed_first_days') }}
union
select unnest(generate_series(
    from_date::timestamp, coalesce(to_date, today)::timestamp, interval 1 day
))::date
from starts cross join {{ ref('processed_through') }}
