{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'milestone_hours'}}}) }}
-- Features, codes, install sources, experiments and their variants, targets of upgrades, of the last 28 days:
-- who names more than tables have rows of finds the smallest of them as `other`. A mistake of a client, or a
-- forgery; it is told until the names are corrected or old, whatever hours a run is of.
with named as (
    select service_name, event_name, subject, '' as detail, '' as target_version
    from {{ ref('recent_subject_players') }}
    where not is_total
    union all
    select service_name, event_name, subject, detail, target_version
    from {{ ref('milestone_hours') }}
    where {{ last_days('hour::date', 28) }}
)
select service_name, event_name, 'subjects' as named, count(distinct subject) as names
from named
group by service_name, event_name
having count(distinct subject) > {{ var('most_names') }}
union all
select service_name, event_name, 'variants', count(distinct detail)
from named
where event_name = 'ExperimentAssigned'
group by service_name, event_name, subject
having count(distinct detail) > {{ var('most_variants') }}
union all
select service_name, event_name, 'targets', count(distinct target_version)
from named
group by service_name, event_name
having count(distinct target_version) > {{ var('most_versions') }}
