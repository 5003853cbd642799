select
    s.source,
    {{ grain_label('s.studio') }} as studio,
    {{ grain_label('s.game') }} as game,
    s.since,
    s.until,
    s.kind,
    max(case when l.has_data then l.ingest_hour end) as newest_hour
from {{ ref('stg_sources') }} s
left join {{ ref('stg_hour_ledger') }} l using (source)
group by s.source, s.studio, s.game, s.since, s.until, s.kind
union all
-- An hour in which a source could not be read has not arrived, whatever came after it: a stand-in
-- that is active in that hour alone and never delivers.
select
    s.source,
    {{ grain_label('s.studio') }} as studio,
    {{ grain_label('s.game') }} as game,
    f.ingest_hour as since,
    f.ingest_hour + interval '1 hour' as until,
    s.kind,
    cast(null as timestamp) as newest_hour
from {{ ref('stg_sources') }} s
join {{ ref('stg_hour_ledger') }} f on f.source = s.source and not f.is_processed
