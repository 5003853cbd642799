{{ config(
    unique_key=['date', 'service_name', 'version', 'event_name', 'subject'],
    meta={
        'window': {'relation': 'affected_version_dates', 'period': 'date', 'column': 'date'},
        'order_by': 'date'
    }
) }}
select
    date, service_name, version, event_name, subject,
    cast(sum(occurrences) as bigint) as occurrences
from {{ ref('service_subject_days') }}
where is_sighted
    and {{ in_window('date', ref('affected_version_dates'), 'date') }}
group by date, service_name, version, event_name, subject
