{{ config(unique_key=['service_name']) }}
-- Of each game its own: who forges services takes the place of no other game's. What the sources file says
-- something of is nobody's forgery.
with sized as (
    select
        d.studio, d.game, d.service_name, d.days,
        case when c.service_name is not null then 0 else 1 end as place,
        coalesce(p.players, 0) as players
    from (
        select studio, game, service_name, count(*) as days
        from {{ ref('service_days') }} group by studio, game, service_name
    ) d
    left join (
        select service_name, count(distinct player_id) as players
        from {{ ref('recent_version_players') }} group by service_name
    ) p on p.service_name = d.service_name
    left join {{ source('lake', 'services') }} c on c.service_name = d.service_name
),
ranked as (
    select
        service_name,
        row_number() over (
            partition by studio, game order by place, players desc, days desc, {{ by_bytes('service_name') }}
        ) as number
    from sized
)
select service_name
from ranked
group by service_name
having min(number) > {{ var('most_services') }} or service_name = 'other'
