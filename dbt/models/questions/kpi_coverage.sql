{{ config(
    unique_key=['kpi', 'studio', 'game', 'platform'],
    meta={'publish': {'period': 'all'}}
) }}
with met as (
    select {{ grain_columns() }}, requirement, min(date) as first_date
    from {{ ref('event_days') }}
    group by {{ grain_sets(['requirement']) }}
),
-- Feeds tell of games, not of platforms; their tables have the totals already.
feeds as (
    select studio, game, 'stream' as requirement, min(date) as first_date
    from {{ ref('kpi_stream_daily') }}
    group by studio, game
    union all
    select studio, game, 'console', min(date)
    from {{ ref('kpi_console_daily') }} where players > 0
    group by studio, game
    {%- for event, column in [
        ('Install', 'installs'), ('Trophy', 'trophies'), ('Subscription', 'subscriptions'), ('Purchase', 'purchases'),
    ] %}
    union all
    select studio, game, 'console {{ event }}', min(date)
    from {{ ref('kpi_console_daily') }} where {{ column }} > 0
    group by studio, game
    {%- endfor %}
),
-- Games that are configured and never told anything are there too.
grains as (
    select studio, game, platform from met
    union
    select studio, game, 'all' from feeds
    union
    select {{ grain_label('studio') }}, {{ grain_label('game') }}, 'all' from {{ ref('stg_sources') }}
    union
    select {{ grain_label('studio') }}, 'all', 'all' from {{ ref('stg_sources') }}
),
asked as (
    select
        r.kpi, g.studio, g.game, g.platform, r.requires, coalesce(t.first_date, f.first_date) as first_date
    from {{ ref('kpi_requirements') }} r
    cross join grains g
    left join met t
        on t.studio = g.studio and t.game = g.game and t.platform = g.platform and t.requirement = r.requires
    left join feeds f on f.studio = g.studio and f.game = g.game and f.requirement = r.requires
    where g.platform = 'all' or not (r.requires = 'stream' or r.requires like 'console%')
)
select
    kpi, studio, game, platform,
    count(first_date) = count(*) as is_available,
    {{ joined_texts('requires') }} as requires,
    {{ joined_texts('case when first_date is null then requires end') }} as missing,
    case when count(first_date) = count(*) then max(first_date) end as available_since
from asked
group by kpi, studio, game, platform
