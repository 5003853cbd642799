-- A day of the benchmark's world: the temporary tables day_sessions and day_events. Every figure is
-- drawn by a hash of its number, so equal variables (day, start, steady, newcomers) make equal days.
create or replace temp table day_sessions as
with days as (
    -- A tenth of the steady players comes on four days of five, others rarely; newcomers return less
    -- and less over a month.
    select p, null as age
    from range(getvariable('steady')) as steady (p)
    where hash(p, getvariable('day'), 1) % 1000 < case
        when hash(p, 11) % 10 = 0 then 800 when hash(p, 11) % 10 <= 3 then 300 else 50 end
    union all
    select getvariable('steady') + b * getvariable('newcomers') + v as p, getvariable('day') - b as age
    from range(greatest(0, getvariable('day') - 30), getvariable('day') + 1) as born (b),
        range(getvariable('newcomers')) as newcomers (v)
    where age = 0 or hash(p, getvariable('day'), 1) % 1000 < 300 * exp(-age / 10.0)
),
drawn as (
    select
        p, age, hash(p, getvariable('day'), s, 2) as h,
        -- One session of five is of another game than the player's own.
        (case
            when hash(p, getvariable('day'), s, 3) % 5 = 0 then hash(p, getvariable('day'), s, 4)
            else hash(p, 5)
        end % 6)::integer as g,
        ['pc', 'playstation', 'xbox', 'switch', 'mobile'][(hash(p, 6) % 5)::integer + 1] as platform
    from days, range(3) as sessions (s)
    where s <= hash(p, getvariable('day'), 7) % 3
)
select
    coalesce(age = 0, false) as is_newcomer,
    format('P{:08d}', p) as player_id,
    upper(md5(h::varchar)) as session_id,
    'game-' || g as game,
    'studio-' || g // 2 as studio,
    platform,
    platform || '-' || hash(p, 8) % 3 as device,
    ['DE', 'US', 'JP', 'FR', 'BR'][(hash(p, 9) % 5)::integer + 1] as country,
    -- A version a fortnight; players take up to ten days to come to it.
    '1.' || (getvariable('day') + 28 + g - (hash(p, 10) % 10)::integer) // 14 as version,
    getvariable('start') + to_microseconds((h % 86400000000)::bigint) as first_at,
    300 + (hash(h) % 3600)::integer as seconds,
    4 + (hash(h, 2) % 18)::integer as n,
    h
from drawn;

create or replace temp table day_events as
with numbered as (
    select
        *, hash(h, i) as e,
        first_at + to_microseconds(seconds * 1000000::bigint * i // (n - 1)) as event_at
    from day_sessions, range(22) as numbers (i)
    where i < n
),
named as (
    select *,
        case
            when i = 0 then 'SessionStart'
            when i = 1 then 'SoftwareVersion'
            when i = n - 1 then 'SessionEnd'
            when i = 2 and is_newcomer then 'Install'
            when i = 2 and e % 20 = 0 then 'ExperimentAssigned'
            when e % 1000 < 300 then 'FeatureUsed'
            when e % 1000 < 304 then 'Purchase'
            when e % 1000 < 307 then 'Crash'
            when e % 1000 < 312 then 'Issue'
            when e % 1000 < 322 then 'Notification'
            else 'LevelCompleted'
        end as event_name
    from numbered
),
told as (
    select
        md5(session_id || i) as event_id,
        game as source, studio, game, game as service_name, session_id, i as transaction_id,
        event_name, event_at,
        case event_name
            when 'SessionStart' then
                '{"PlayerId":"' || player_id || '","Platform":"' || platform || '","Country":"' || country || '"}'
            when 'SoftwareVersion' then '{"Version":"' || version || '","Device":"' || device || '"}'
            when 'SessionEnd' then '{"DurationSeconds":"' || seconds || '"}'
            when 'Install' then '{"Source":"ad-' || e % 7 || '"}'
            when 'ExperimentAssigned' then '{"Experiment":"shop","Variant":"' || if(h % 2 = 0, 'a', 'b') || '"}'
            when 'FeatureUsed' then '{"Feature":"feature-' || e % 37 || '"}'
            when 'Purchase' then
                '{"Amount":"' || e % 30 || '.99","Currency":"' || if(e % 3 = 0, 'EUR', 'USD') || '"}'
            when 'Crash' then '{"Code":"C' || e % 12 || '","Severity":"high"}'
            when 'Issue' then '{"Code":"I' || e % 40 || '","Severity":"low"}'
            when 'Notification' then '{"Kind":"VersionUpgrade","Status":"'
                || ['sent', 'shown', 'accepted', 'dismissed'][(e % 4)::integer + 1]
                || '","TargetVersion":"' || version || '"}'
            else '{"Level":"' || e % 50 || '","Score":"' || e % 100000 || '","Mode":"story"}'
        end as attributes,
        null::varchar as own_player_id,
        player_id, platform, device, country, version, seconds::double as seconds,
        -- One event of fifty arrives hours late.
        date_trunc('hour', event_at) + to_hours(if(e % 50 = 7, 1 + e % 24, 0)::integer) as ingest_hour,
        e % 200 = 1 as is_sent_twice
    from named
)
select * from told
union all
select * replace (ingest_hour + interval 1 hour as ingest_hour) from told where is_sent_twice
union all
-- The console platform's feed has no sessions and names its players.
select
    md5('console' || player_id), 'console', 'platform', 'console', game, '', 0, 'Trophy', min(first_at),
    '{"PlayerId":"' || player_id || '"}', player_id, player_id, null, null, null, null, null,
    date_trunc('hour', min(first_at)), false
from day_sessions where is_newcomer and h % 10 = 0 group by player_id, game
qualify row_number() over (partition by player_id order by game) = 1;

create or replace temp table arrived as
select * from day_events where ingest_hour <= getvariable('through');

create or replace temp view folded as
select
    source, service_name, session_id,
    any_value(player_id) as player_id,
    any_value(platform) as platform,
    any_value(device) as device,
    any_value(country) as country,
    min(event_at) as started_at,
    max(event_at) as ended_at,
    bool_or(event_name = 'SessionEnd') as ended_normally,
    coalesce(
        max(case when event_name = 'SessionEnd' then seconds end),
        epoch(max(event_at) - min(event_at))
    ) as duration_seconds,
    count(distinct event_id) as event_count,
    count(distinct case when event_name = 'Crash' then event_id end) as crash_count
from arrived
where session_id != ''
group by source, service_name, session_id;
