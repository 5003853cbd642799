{{ config(
    unique_key=['service_name', 'studio', 'game'],
    meta={'publish': {'period': 'all'}}
) }}
select service_name, studio, game, min(date) as first_date, max(date) as last_date
from {{ ref('service_days') }}
group by service_name, studio, game
