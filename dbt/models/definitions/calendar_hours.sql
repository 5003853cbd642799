{{ config(materialized='view') }}
select date + hour_of_day * interval '1 hour' as hour
from {{ ref('kpi_daily') }}
cross join (
    {%- for hour in range(24) %}
    select {{ hour }} as hour_of_day {{ 'union all' if not loop.last }}
    {%- endfor %}
) as hours
where studio = 'all' and game = 'all' and platform = 'all'
