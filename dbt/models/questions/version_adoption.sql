{{ config(
    unique_key=['date', 'service_name', 'version'],
    meta={
        'window': {'relation': 'affected_version_dates', 'period': 'date', 'column': 'date'},
        'publish': {'period': 'date', 'column': 'date'}
    }
) }}
with counted as (
    select date, service_name, version, count(*) as players
    from {{ ref('version_player_days') }}
    where is_active
        and {{ in_window('date', ref('affected_version_dates'), 'date') }}
    group by date, service_name, version
),
totals as (
    select *, cast(sum(players) over (partition by date, service_name) as bigint) as service_players
    from counted
)
select
    date, service_name, version, players,
    {{ share('players', 'service_players', 'share_of_players') }}
from totals
