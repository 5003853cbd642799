{{ config(
    unique_key=['date', 'service_name', 'version'],
    meta={
        'window': {'relation': 'affected_version_dates', 'period': 'date', 'column': 'date'},
        'publish': {'period': 'date', 'column': 'date'}
    }
) }}
-- The largest of each date: a date that is over stays as it is, whatever is named on others. A player has
-- one version a day, so that those of the others add up.
with versions as (
    select date, service_name, version, players
    from {{ ref('version_active_players') }}
    where {{ in_window('date', ref('affected_version_dates'), 'date') }}
),
-- So of each date and game its own services.
services as (
    select
        d.date, d.service_name,
        row_number() over (
            partition by d.date, d.studio, d.game order by p.players desc, {{ by_bytes('d.service_name') }}
        ) as place
    from {{ ref('service_days') }} d
    join (select date, service_name, sum(players) as players from versions group by date, service_name) p
        on p.date = d.date and p.service_name = d.service_name
    where {{ in_window('d.date', ref('affected_version_dates'), 'date') }}
),
bundled as (
    select date, service_name
    from services
    group by date, service_name
    having min(place) > {{ var('most_services') }} or service_name = 'other'
),
placed as (
    select
        v.date, v.service_name, v.version, v.players,
        row_number() over (
            -- The unknown one is no name, and stays.
            partition by v.date, v.service_name, case when v.version = 'unknown' then 0 else 1 end
            order by v.players desc, {{ by_bytes('v.version') }}
        ) as place
    from versions v
    left join bundled b on b.date = v.date and b.service_name = v.service_name
    where b.service_name is null
),
shown as (
    select
        date, service_name, players,
        case when place > {{ var('most_versions') }} then 'other' else version end as version
    from placed
    union all
    -- Who was in several of these services is one player.
    select v.date, 'other', count(distinct v.player_id), 'other'
    from {{ ref('version_player_days') }} v
    join bundled b on b.date = v.date and b.service_name = v.service_name
    where v.is_active and {{ in_window('v.date', ref('affected_version_dates'), 'date') }}
    group by v.date
),
counted as (
    select date, service_name, version, cast(sum(players) as bigint) as players
    from shown group by date, service_name, version
),
totals as (
    select
        *, cast(sum(players) over (partition by date, service_name) as bigint) as service_players
    from counted
)
select
    t.date, t.service_name, t.version, v.version_sort_key, t.players,
    {{ share('t.players', 't.service_players', 'share_of_players') }}
from totals t
left join {{ ref('known_versions') }} v
    on v.service_name = t.service_name and v.version = t.version and t.version <> 'other'
