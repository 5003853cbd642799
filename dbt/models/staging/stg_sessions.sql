select
    s.source,
    coalesce(k.studio, 'unassigned') as studio,
    coalesce(k.game, s.source) as game,
    s.service_name,
    s.session_id,
    s.player_id,
    s.platform,
    s.device,
    s.country,
    s.started_at,
    s.ended_at,
    s.ended_normally,
    -- Sums of decimals do not depend on the order of the rows.
    s.duration_seconds::decimal(18, 6) as duration_seconds,
    s.event_count,
    s.crash_count > 0 as has_crash
from {{ source('lake', 'sessions') }} s
left join {{ source('lake', 'sources') }} k using (source)
