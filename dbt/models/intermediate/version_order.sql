{{ config(
    contract={'enforced': false},
    unique_key=['service_name', 'version']
) }}
-- Days that are over: today's players are still coming.
with days as (
    select a.service_name, a.date, a.version, a.players
    from {{ ref('version_active_players') }} a
    cross join {{ ref('processed_through') }} t
    where a.date < t.now_at::date
),
usual as (
    select service_name, {{ median_of('players') }} as players
    from (select service_name, date, sum(players) as players from days group by service_name, date) as of_services
    group by service_name
),
-- A tester or a straggler is no release: ten players on a day are, and a tenth of a small service's.
released as (
    select d.service_name, d.version, min(d.date) as release_date
    from days d
    join usual u on u.service_name = d.service_name
    where d.players >= 10 or 10 * d.players >= u.players
    group by d.service_name, d.version
),
known as (
    select
        v.service_name, v.version, v.version_sort_key, v.first_seen_at, v.last_seen_at, r.release_date,
        r.version is not null as is_released,
        coalesce(s.version_order = 'release_day', false) as is_ordered_by_release_day
    from {{ ref('known_versions') }} v
    left join released r on r.service_name = v.service_name and r.version = v.version
    left join {{ source('lake', 'services') }} s on s.service_name = v.service_name
    -- Several versions, or services, together have no order.
    where v.version <> 'other' and v.service_name <> 'other'
),
placed as (
    select
        *,
        dense_rank() over (
            partition by service_name
            order by
                case when is_ordered_by_release_day then coalesce(cast(release_date as timestamp), first_seen_at) end,
                case when is_ordered_by_release_day then first_seen_at end,
                {{ by_bytes('case when is_ordered_by_release_day then version else version_sort_key end') }}
        ) as version_rank
    from known
),
-- Two spellings of one version are one release.
releases as (
    select
        service_name, version_rank,
        max({{ by_bytes('version') }}) as version,
        min(release_date) as release_date,
        dense_rank() over (partition by service_name order by version_rank) as release_number
    from placed
    where is_released
    group by service_name, version_rank
),
newest as (
    select service_name, max(version_rank) as version_rank from releases group by service_name
),
before as (
    select p.service_name, p.version, max(r.version_rank) as version_rank
    from placed p
    join releases r on r.service_name = p.service_name and r.version_rank < p.version_rank
    group by p.service_name, p.version
)
select
    p.service_name, p.version, p.version_sort_key, p.first_seen_at, p.last_seen_at,
    p.is_ordered_by_release_day, p.version_rank, p.is_released, p.release_date,
    case when p.is_released then r.release_number end as release_number,
    case
        when p.is_released then 'released'
        when p.version_rank <= n.version_rank then 'straggler'
        else 'tester'
    end as release_state,
    l.version as previous_version,
    l.release_date as previous_release_date,
    coalesce(p.is_released and n.version_rank = p.version_rank, false) as is_newest
from placed p
left join releases r on r.service_name = p.service_name and r.version_rank = p.version_rank
left join newest n on n.service_name = p.service_name
left join before b on b.service_name = p.service_name and b.version = p.version
left join releases l on l.service_name = p.service_name and l.version_rank = b.version_rank
