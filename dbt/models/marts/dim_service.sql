{{ config(
    unique_key=['service_name', 'studio', 'game'],
    meta={'publish': {'period': 'all'}}
) }}
select
    {{ shown_service('s', 'd') }} as service_name, d.studio, d.game, min(d.date) as first_date, max(d.date) as last_date
from {{ ref('service_days') }} d
{{ join_bundled_services('s', 'd') }}
group by {{ shown_service('s', 'd') }}, d.studio, d.game
