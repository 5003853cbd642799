{{ config(
    unique_key=['date', 'service_name', 'version'],
    meta={
        'window': {'relation': 'affected_version_dates', 'period': 'date', 'column': 'date'},
        'publish': {'period': 'date', 'column': 'date'}
    }
) }}
-- The largest of each date: a date that is over stays as it is, whatever is named on others. A player has
-- one version a day, so that those of the others add up.
with placed as (
    select
        date, service_name, version, players,
        row_number() over (
            -- The unknown one is no name, and stays.
            partition by date, service_name, case when version = 'unknown' then 0 else 1 end
            order by players desc, {{ by_bytes('version') }}
        ) as place
    from {{ ref('version_active_players') }}
    where {{ in_window('date', ref('affected_version_dates'), 'date') }}
),
shown as (
    select
        date, service_name, players,
        case when place > {{ var('most_versions') }} then 'other' else version end as version
    from placed
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
