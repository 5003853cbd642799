{{ config(materialized='view') }}
{%- set shown_version, shown_subject = shown_name('v', 'd.version'), shown_name('s', 'd.subject') %}
{%- set columns = 'd.service_name, d.version, d.event_name, d.subject, d.player_id, d.date, d.detail, d.occurrences' %}
-- A day with two bundled names is one day: they are counted from their days, of which there are none as a
-- rule. Asked for by each kind apart, so that a warehouse finds nothing to look for and reads nothing.
with bundled_days as (
    select {{ columns }}
    from {{ ref('service_subject_days') }} d
    join {{ ref('bundled_names') }} b on b.service_name = d.service_name and b.kind = 'version' and b.name = d.version
    where {{ last_days('d.date', 28) }}
    union
    select {{ columns }}
    from {{ ref('service_subject_days') }} d
    join {{ ref('bundled_names') }} b on b.service_name = d.service_name and b.kind = d.event_name and b.name = d.subject
    where {{ last_days('d.date', 28) }}
),
days_of_services as (
    select {{ columns }}
    from {{ ref('service_subject_days') }} d
    join {{ ref('bundled_services') }} s on s.service_name = d.service_name
    where {{ last_days('d.date', 28) }}
)
select p.service_name, p.version, p.event_name, p.subject, p.is_total, p.player_id, p.occurrences, p.days
from {{ ref('recent_subject_players') }} p
{{ join_bundled('v', 'p', "'version'", 'p.version') }}
{{ join_bundled('s', 'p', 'p.event_name', 'p.subject') }}
{{ join_bundled_services('x', 'p') }}
where x.service_name is null and v.name is null and (s.name is null or p.is_total)
union all
select
    d.service_name, {{ shown_version }}, d.event_name, {{ shown_subject }}, false, d.player_id,
    cast(sum(d.occurrences) as bigint), count(distinct d.date)
from bundled_days d
{{ join_bundled('v', 'd', "'version'", 'd.version') }}
{{ join_bundled('s', 'd', 'd.event_name', 'd.subject') }}
group by d.service_name, {{ shown_version }}, d.event_name, {{ shown_subject }}, d.player_id
union all
select
    d.service_name, 'other', d.event_name, '', true, d.player_id,
    cast(sum(d.occurrences) as bigint), count(distinct d.date)
from bundled_days d
join {{ ref('bundled_names') }} v on v.service_name = d.service_name and v.kind = 'version' and v.name = d.version
where d.event_name in ('Crash', 'Issue')
group by d.service_name, d.event_name, d.player_id
union all
select
    'other', 'other', event_name, 'other', false, player_id, cast(sum(occurrences) as bigint), count(distinct date)
from days_of_services
group by event_name, player_id
union all
select
    'other', 'other', event_name, '', true, player_id, cast(sum(occurrences) as bigint), count(distinct date)
from days_of_services
where event_name in ('Crash', 'Issue')
group by event_name, player_id
