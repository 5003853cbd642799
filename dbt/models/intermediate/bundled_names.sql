{{ config(unique_key=['service_name', 'kind', 'name']) }}
-- Sizes are of the last 28 days, from what is summed by player anyway; no events are read. A version that
-- many play is released, and what is not comes after it, however often it is named.
with sized as (
    select
        o.service_name, 'version' as kind, o.version as name,
        case when o.is_newest then 0 when o.is_released then 1 else 2 end as place,
        coalesce(p.players, 0) as players
    from {{ ref('version_order') }} o
    left join (
        select service_name, version, count(*) as players
        from {{ ref('recent_version_players') }} group by service_name, version
    ) p on p.service_name = o.service_name and p.version = o.version
    union all
    -- The name of the bundle is no version, and stands in no order.
    select service_name, 'version', version, 2, 0 from {{ ref('known_versions') }} where version = 'other'
    union all
    select service_name, 'device', last_device, 0, count(*)
    from {{ ref('recent_version_players') }}
    where last_device is not null
    group by service_name, last_device
    union all
    select service_name, event_name, subject, 0, count(*)
    from {{ ref('recent_subject_players') }}
    where not is_total
    group by service_name, event_name, subject
),
ranked as (
    select
        service_name, kind, name,
        row_number() over (
            partition by service_name, kind order by place, players desc, {{ by_bytes('name') }}
        ) as number
    from sized
    -- Of a bundled service no name is shown.
    where name <> 'unknown' and service_name not in (select service_name from {{ ref('bundled_services') }})
)
select service_name, kind, name
from ranked
where name = 'other' or number > case kind
    when 'version' then {{ var('most_versions') }} when 'device' then {{ var('most_devices') }}
    else {{ var('most_names') }}
end
