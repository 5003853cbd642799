{{ config(materialized='table') }}
select
    service_name, version,
    count(case when active_days > 0 then 1 end) as players,
    cast(sum(active_days) as bigint) as player_days,
    cast(sum(active_days * active_days) as bigint) as player_days_squared,
    count(case when last_active_date > today - 7 then 1 end) as players_last_7_days,
    count(case when was_active_a_week_ago then 1 end) as players_previous_7_days,
    cast(sum(sessions) as bigint) as sessions,
    sum(playtime_seconds) as playtime_seconds,
    sum(revenue_usd) as revenue_usd
from {{ ref('shown_version_players') }}
cross join {{ ref('processed_through') }}
group by service_name, version
