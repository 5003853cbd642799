{{ config(
    unique_key=['service_name', 'version', 'kind', 'name'],
    meta={'publish': {'period': 'all'}}
) }}
with {{ subjects_by_version("('FeatureUsed', 'Crash', 'Issue')", with_vanished=true) }},
shares as (
    select
        w.*, o.is_newest,
        case w.event_name when 'FeatureUsed' then 'feature' else lower(w.event_name) end as kind,
        case when w.event_name = 'FeatureUsed' then -1 else 1 end as badness,
        {{ ratio('w.players', 'w.version_players') }} as share_of_players,
        {{ ratio('w.previous_players', 'w.previous_version_players') }} as previous_share_of_players,
        {{ share_of_days('w.', 'share_now') }},
        {{ share_of_days('w.previous_', 'share_before') }}
    from with_previous w
    join {{ ref('version_order') }} o on o.service_name = w.service_name and o.version = w.version
    join {{ ref('active_versions') }} a on a.service_name = w.service_name and a.version = w.version
),
changes as (
    select *, {{ difference_of_shares('share_now', 'share_before', 'change') }} from shares
),
concerns as (
    select
        service_name, version, version_sort_key, is_newest, kind, subject as name,
        players as players_affected, version_players, share_of_players,
        share_now as share_of_days,
        previous_version, previous_share_of_players, share_before as previous_share_of_days,
        badness * change as concern,
        case when badness = 1 then change_low else -change_high end as concern_low,
        case when badness = 1 then change_high else -change_low end as concern_high,
        coalesce({{ is_enough('version_players') }} and {{ is_enough('previous_version_players') }}, false)
            as is_told_enough
    from changes
),
judged as (
    select
        *,
        case
            when not is_told_enough then null
            when concern_low > 0 then 'worse'
            when concern_high < 0 then 'better'
            else 'unclear'
        end as direction
    from concerns
)
select
    service_name, version, version_sort_key, is_newest, kind, name,
    players_affected, version_players, share_of_players, share_of_days,
    previous_version, previous_share_of_players, previous_share_of_days,
    concern, concern_low, concern_high, direction,
    row_number() over (
        partition by service_name, version, kind
        order by players_affected desc, {{ by_bytes('name') }}
    ) as rank_by_players,
    case when concern is not null then row_number() over (
        partition by service_name, version, kind
        order by case when concern is null then 1 else 0 end, concern desc, players_affected desc,
            {{ by_bytes('name') }}
    ) end as rank_by_change,
    row_number() over (
        partition by service_name, version
        order by
            -- What got worse beyond chance, then issues that are simply there, features last.
            case when direction = 'worse' then 0 when kind <> 'feature' then 1 else 2 end,
            case when kind = 'feature' and coalesce(direction, '') <> 'worse' then concern end desc nulls last,
            players_affected desc, concern desc nulls last, kind, {{ by_bytes('name') }}
    ) as priority
from judged
