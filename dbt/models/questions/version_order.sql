{{ config(
    schema='staging',
    contract={'enforced': false},
    unique_key=['service_name', 'version']
) }}
with crowded as (
    select service_name, version, min(date) as date
    from {{ ref('version_adoption') }}
    where players >= 10
    group by service_name, version
),
released as (
    select
        d.service_name, d.version, d.first_seen_at, d.last_seen_at,
        coalesce(c.date, d.first_seen_at::date) as release_date
    from {{ ref('dim_version') }} d
    left join crowded c on c.service_name = d.service_name and c.version = d.version
),
numbered as (
    select
        *,
        row_number() over (
            partition by service_name
            order by release_date, {{ natural_key('version') }}, {{ by_bytes('version') }}
        ) as release_number
    from released
)
select
    service_name, version, first_seen_at, last_seen_at, release_date, release_number,
    lag(version) over (partition by service_name order by release_number) as previous_version,
    lag(release_date) over (partition by service_name order by release_number) as previous_release_date,
    lead(release_date) over (partition by service_name order by release_number) as next_release_date,
    release_number = count(*) over (partition by service_name) as is_newest
from numbered
