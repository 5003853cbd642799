{{ config(
    unique_key=['date', 'service_name', 'version'],
    meta={
        'window': {'relation': 'affected_version_dates', 'period': 'date', 'column': 'date'},
        'publish': {'period': 'date', 'column': 'date'}
    }
) }}
with totals as (
    select
        date, service_name, version, players,
        cast(sum(players) over (partition by date, service_name) as bigint) as service_players
    from {{ ref('version_active_players') }}
    where {{ in_window('date', ref('affected_version_dates'), 'date') }}
)
select
    t.date, t.service_name, t.version, v.version_sort_key, t.players,
    {{ share('t.players', 't.service_players', 'share_of_players') }}
from totals t
left join {{ ref('dim_version') }} v on v.service_name = t.service_name and v.version = t.version
