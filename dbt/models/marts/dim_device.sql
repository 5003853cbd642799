{{ config(
    unique_key=['device'],
    meta={'publish': {'period': 'all'}}
) }}
with devices as (
    select
        device, min(first_seen_at) as first_seen_at, max(last_seen_at) as last_seen_at, sum(sightings) as sightings
    from {{ ref('version_days') }}
    group by device
),
placed as (
    select
        *,
        row_number() over (
            -- The unknown one is no name, and stays.
            partition by case when device = 'unknown' then 0 else 1 end
            order by sightings desc, {{ by_bytes('device') }}
        ) as place
    from devices
),
shown as (
    select
        case when place > {{ var('most_devices') }} then 'other' else device end as device,
        first_seen_at, last_seen_at, sightings
    from placed
)
select
    device,
    min(first_seen_at) as first_seen_at,
    max(last_seen_at) as last_seen_at,
    sum(sightings)::bigint as sightings
from shown
group by device
