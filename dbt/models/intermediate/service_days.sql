{{ config(
    unique_key=['date', 'service_name', 'studio', 'game'],
    meta={'window': {'relation': 'affected_activity_dates', 'period': 'date', 'column': 'date'}}
) }}
select hour::date as date, service_name, studio, game
from {{ ref('grain_hours') }}
where {{ in_window('hour', ref('affected_activity_dates'), 'date') }}
union
select
    started_at::date,
    service_name,
    {{ grain_label('studio') }},
    {{ grain_label('game') }}
from {{ ref('stg_sessions') }}
where {{ in_window('started_at', ref('affected_activity_dates'), 'date') }}
