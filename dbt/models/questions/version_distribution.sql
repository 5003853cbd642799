{{ config(
    unique_key=['service_name', 'version', 'device'],
    meta={'publish': {'period': 'all'}}
) }}
with recent as (
    select
        p.service_name, p.version, {{ shown_name('b', grain_label('p.last_device')) }} as device
    from {{ ref('shown_version_players') }} p
    {{ join_bundled('b', 'p', "'device'", 'p.last_device') }}
    where p.is_latest_version
),
counted as (
    select service_name, version, coalesce(device, 'all') as device, count(*) as players
    from recent
    group by grouping sets ((service_name, version, device), (service_name, version))
),
totals as (
    select
        *,
        cast(sum(case when device = 'all' then players end) over (partition by service_name) as bigint)
            as service_players
    from counted
),
newest as (select * from ({{ newest_of_devices() }}) as every_device)
select
    t.service_name, t.version, o.version_sort_key, t.device, t.players,
    {{ share('t.players', 't.service_players', 'share_of_players') }},
    n.version as newest_version_on_device,
    coalesce(n.version_rank = o.version_rank, false) as is_newest_on_device
from totals t
left join {{ ref('version_order') }} o on o.service_name = t.service_name and o.version = t.version
left join newest n on n.service_name = t.service_name and n.device = t.device
