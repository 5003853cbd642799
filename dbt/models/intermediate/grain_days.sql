{{ config(
    unique_key=['date', 'studio', 'game', 'platform'],
    meta={'window': {'relation': 'affected_activity_dates', 'period': 'date', 'column': 'date'}}
) }}
with happened as (
    select hour::date as date, studio, game, platform
    from {{ ref('grain_hours') }}
    where {{ in_window('hour', ref('affected_activity_dates'), 'date') }}
    union
    select
        started_at::date,
        {{ grain_label('studio') }},
        {{ grain_label('game') }},
        {{ grain_label('platform') }}
    from {{ ref('stg_sessions') }}
    where {{ in_window('started_at', ref('affected_activity_dates'), 'date') }}
)
select date, {{ grain_columns() }}
from happened
group by {{ grain_sets(['date']) }}
