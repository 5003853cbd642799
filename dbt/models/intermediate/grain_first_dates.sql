{{ config(
    unique_key=['studio', 'game', 'platform'],
    meta={'note_changes_in': 'changed_grain_first_dates'}
) }}
select studio, game, platform, min(date) as first_date
from {{ ref('grain_days') }}
group by studio, game, platform
