{{ config(
    unique_key=['kpi', 'studio', 'game', 'platform'],
    meta={'publish': {'period': 'all'}}
) }}
with told as (
    select {{ grain_columns() }}, told, min(date) as first_date
    from {{ ref('told_days') }}
    group by {{ grain_sets(['told']) }}
),
-- Games that are configured and never told anything are there too.
grains as (
    select studio, game, platform from told
    union
    select studio, game, 'all' from {{ ref('source_arrivals') }}
    union
    select studio, 'all', 'all' from {{ ref('source_arrivals') }}
),
asked as (
    select
        r.kpi, g.studio, g.game, g.platform, r.requires, t.first_date
    from {{ ref('kpi_requirements') }} r
    cross join grains g
    left join told t
        on t.studio = g.studio and t.game = g.game and t.platform = g.platform and t.told = r.requires
)
select
    kpi, studio, game, platform,
    count(first_date) = count(*) as is_available,
    {{ joined_texts('requires') }} as requires,
    {{ joined_texts('case when first_date is null then requires end') }} as missing,
    case when count(first_date) = count(*) then max(first_date) end as available_since
from asked
group by kpi, studio, game, platform
