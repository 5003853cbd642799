{{ config(severity='warn') }}
-- Features, codes, install sources, experiments and their variants, targets of upgrades: who names more than
-- tables have rows of finds the smallest of them as `other`. A mistake of a client, or a forgery.
with named as (
    select source, event_name, subject, detail, target_version
    from {{ ref('attributed_events') }}
    where event_name in ('FeatureUsed', 'Crash', 'Issue', 'Install', 'ExperimentAssigned', 'Notification')
        and {{ built_rows('attributed_events') }}
)
select source, event_name, 'subjects' as named, count(distinct subject) as names
from named
group by source, event_name
having count(distinct subject) > {{ var('most_names') }}
union all
select source, event_name, 'variants', count(distinct detail)
from named
where event_name = 'ExperimentAssigned'
group by source, event_name, subject
having count(distinct detail) > {{ var('most_variants') }}
union all
select source, event_name, 'targets', count(distinct target_version)
from named
group by source, event_name
having count(distinct target_version) > {{ var('most_versions') }}
