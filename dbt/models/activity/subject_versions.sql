{{ config(
    unique_key=['date', 'service_name', 'version', 'event_name', 'subject'],
    meta={
        'window': {'relation': 'affected_activity_dates', 'period': 'date', 'column': 'date'},
        'order_by': 'date'
    }
) }}
select
    s.date, s.service_name, p.version, s.event_name, s.subject,
    cast(sum(s.occurrences) as bigint) as occurrences
from {{ ref('service_subject_days') }} s
join {{ ref('service_player_days') }} p
    on p.date = s.date and p.service_name = s.service_name and p.player_id = s.player_id
where p.version is not null
    and {{ in_window('s.date', ref('affected_activity_dates'), 'date') }}
    and {{ in_window('p.date', ref('affected_activity_dates'), 'date') }}
group by s.date, s.service_name, p.version, s.event_name, s.subject
