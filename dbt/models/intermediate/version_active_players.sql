{{ config(
    unique_key=['date', 'service_name', 'version'],
    meta={
        'window': {'relation': 'affected_version_dates', 'period': 'date', 'column': 'date'},
        'order_by': 'date'
    }
) }}
select date, service_name, version, count(*) as players
from {{ ref('version_player_days') }}
where is_active
    and {{ in_window('date', ref('affected_version_dates'), 'date') }}
group by date, service_name, version
