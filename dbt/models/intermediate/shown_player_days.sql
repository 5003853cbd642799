{{ config(materialized='view') }}
select d.date, d.service_name, d.player_id, d.is_active, d.revenue_usd
from {{ ref('service_player_days') }} d
{{ join_bundled_services('s', 'd') }}
where s.service_name is null
union all
-- A player's day in several of them is one day.
select
    d.date, 'other', d.player_id, max(case when d.is_active then 1 else 0 end) = 1,
    cast(sum(d.revenue_usd) as decimal(18, 6))
from {{ ref('service_player_days') }} d
join {{ ref('bundled_services') }} s on s.service_name = d.service_name
group by d.date, d.player_id
