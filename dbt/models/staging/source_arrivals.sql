select
    s.source,
    {{ grain_label('s.studio') }} as studio,
    {{ grain_label('s.game') }} as game,
    s.since,
    s.until,
    max(l.ingest_hour) filter (where l.has_data) as newest_hour
from {{ ref('stg_sources') }} s
left join {{ ref('stg_hour_ledger') }} l using (source)
group by all
