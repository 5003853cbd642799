{{ config(materialized='table') }}
select date from {{ ref('affected_activity_dates') }}
union
-- Days without a sighting have the version in effect.
select d.date
from {{ source('lake', 'affected_versions') }} v
join {{ source('lake', 'loads') }} using (load_id)
join {{ ref('service_player_days') }} d using (service_name, player_id)
where not is_built and d.version is null
    and d.date >= v.from_date and (v.to_date is null or d.date <= v.to_date)
