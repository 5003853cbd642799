{{ config(
    unique_key=['service_name', 'version', 'kind', 'code'],
    meta={'publish': {'period': 'all'}}
) }}
with {{ subjects_by_version("('Crash', 'Issue')", with_totals=true) }},
severe_days as (
    select
        {{ shown_service('x', 'd') }} as service_name, {{ shown_name('v', 'd.version', 'x') }} as version,
        d.event_name, {{ shown_name('s', 'd.subject', 'x') }} as subject, d.detail, d.occurrences
    from {{ ref('service_subject_days') }} d
    {{ join_bundled('v', 'd', "'version'", 'd.version') }}
    {{ join_bundled('s', 'd', 'd.event_name', 'd.subject') }}
    {{ join_bundled_services('x', 'd') }}
    where d.detail <> '' and d.event_name in ('Crash', 'Issue') and {{ last_days('d.date', 28) }}
),
severities as (
    select
        service_name, version, event_name, coalesce({{ grain_label('subject') }}, 'all') as subject, detail,
        row_number() over (
            partition by service_name, version, event_name, coalesce({{ grain_label('subject') }}, 'all')
            order by sum(occurrences) desc, {{ by_bytes('detail') }}
        ) as place
    from severe_days
    group by grouping sets (
        (service_name, version, event_name, {{ grain_label('subject') }}, detail), (service_name, version, event_name, detail)
    )
)
select
    w.service_name, w.version, w.version_sort_key, w.event_name as kind, w.subject as code,
    s.detail as severity,
    w.occurrences as issues, w.players, w.version_players,
    {{ share('w.players', 'w.version_players', 'share_of_players') }},
    w.days, w.version_days,
    {{ share_of_days('w.', 'share_of_days') }},
    w.version_sessions,
    {{ rate('w.occurrences', 'w.version_sessions', 1000, 'per_1000_sessions') }},
    w.previous_version,
    w.previous_day_share as previous_share_of_days,
    1000 * {{ ratio('w.previous_occurrences', 'w.previous_version_sessions') }} as previous_per_1000_sessions,
    w.is_new,
    {{ is_enough('w.version_players') }} as has_enough_data
from with_previous w
left join severities s
    on s.place = 1 and s.service_name = w.service_name and s.version = w.version
    and s.event_name = w.event_name and s.subject = w.subject
