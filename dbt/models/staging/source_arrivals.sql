select
    s.source,
    {{ grain_label('s.studio') }} as studio,
    {{ grain_label('s.game') }} as game,
    s.since,
    s.until,
    max(case when l.has_data then l.ingest_hour end) as newest_hour
from {{ ref('stg_sources') }} s
left join {{ ref('stg_hour_ledger') }} l using (source)
group by s.source, s.studio, s.game, s.since, s.until
