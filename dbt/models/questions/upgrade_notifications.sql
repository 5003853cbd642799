{{ config(
    unique_key=['service_name', 'target_version'],
    meta={'publish': {'period': 'all'}}
) }}
with told as (
    select
        service_name, nullif(player_id, '') as player_id, device,
        coalesce(nullif(target_version, ''), 'unknown') as target_version, target_sort_key,
        detail, events, first_at
    from {{ ref('shown_milestones') }}
    where event_name = 'Notification' and subject = 'VersionUpgrade'
),
bundled as ({{ beyond_largest('told', ['service_name'], 'target_version', var('most_versions')) }}),
notifications as (
    select
        t.service_name, t.player_id, t.device, {{ shown_name('b', 't.target_version') }} as target_version,
        case when b.name is null then t.target_sort_key end as target_sort_key,
        t.detail, t.events, t.first_at
    from told t
    left join bundled b on b.service_name = t.service_name and b.name = t.target_version
),
-- By player and device once; those that nobody is known of come together and count as no player.
notified as (
    select
        service_name, target_version, max(target_sort_key) as target_sort_key, player_id, device,
        {%- for status in ['sent', 'shown', 'accepted', 'dismissed'] %}
        sum(case when detail = '{{ status }}' then events else 0 end) as {{ status }},
        {%- endfor %}
        min(first_at) as notified_at
    from notifications
    group by service_name, target_version, player_id, device
),
notified_players as (
    select
        service_name, target_version, player_id
        {%- for status in ['sent', 'shown', 'accepted', 'dismissed'] %},
        sum({{ status }}) as {{ status }}
        {%- endfor %}
    from notified
    group by service_name, target_version, player_id
),
counted as (
    select
        service_name, target_version,
        {%- for status in ['sent', 'shown', 'accepted', 'dismissed'] %}
        cast(sum({{ status }}) as bigint) as {{ status }},
        count(case when {{ status }} > 0 then player_id end) as players_{{ status }},
        {%- endfor %}
        count(player_id) as players_notified
    from notified_players
    group by service_name, target_version
),
-- The place of the target in the service's order, however it is spelled there.
targets as (
    select t.service_name, t.target_version, t.target_sort_key, min(o.version_rank) as version_rank
    from (
        select service_name, target_version, max(target_sort_key) as target_sort_key
        from notified group by service_name, target_version
    ) t
    left join {{ ref('version_order') }} o
        on o.service_name = t.service_name
        and (o.version = t.target_version
            or (not o.is_ordered_by_release_day and o.version_sort_key = t.target_sort_key))
    group by t.service_name, t.target_version, t.target_sort_key
),
-- On the device that was told; where nobody knows which, on any. Whoever is on a later version than the
-- target has it behind them.
reached as (
    select
        f.service_name, f.target_version, f.player_id, f.device, f.notified_at,
        coalesce(max(case
            when i.valid_from <= f.notified_at and (i.valid_to is null or i.valid_to > f.notified_at) then 1
        end), 0) = 1 as is_already_there,
        min(case when i.valid_from > f.notified_at then i.valid_from end) as reached_at
    from notified f
    join targets t
        on t.service_name = f.service_name and t.target_version = f.target_version and t.version_rank is not null
    left join (
        select i.service_name, i.player_id, i.device, i.valid_from, i.valid_to, o.version_rank
        from {{ ref('stg_user_version_intervals') }} i
        join {{ ref('version_order') }} o on o.service_name = i.service_name and o.version = i.version
    ) i
        on i.service_name = f.service_name and i.player_id = f.player_id
        and (i.device = f.device or f.device = 'unknown') and i.version_rank >= t.version_rank
    where f.player_id is not null
    group by f.service_name, f.target_version, f.player_id, f.device, f.notified_at
),
-- Of a player's devices those count that were not there yet, and one upgrade is enough.
by_player as (
    select
        service_name, target_version, player_id,
        min(case when is_already_there then 1 else 0 end) = 1 as is_already_there,
        min(case when not is_already_there then notified_at end) as notified_at,
        min(case
            when not is_already_there and reached_at <= notified_at + interval '7 days'
            then {{ seconds_between('notified_at', 'reached_at') }} / 3600
        end) as hours
    from reached
    group by service_name, target_version, player_id
),
measured as (
    select
        service_name, target_version, is_already_there, hours,
        coalesce(not is_already_there and notified_at + interval '7 days' <= now_at, false) as is_measured
    from by_player
    cross join {{ ref('processed_through') }}
),
upgraded as (
    select
        service_name, target_version,
        count(case when is_already_there then 1 end) as players_already_there,
        count(case when is_measured then 1 end) as players_measured,
        count(case when is_measured then hours end) as players_upgraded_7d,
        {{ median_of('case when is_measured then hours end') }} as hours_to_upgrade_median
    from measured
    group by service_name, target_version
)
select
    c.service_name, c.target_version, t.target_sort_key as version_sort_key,
    t.version_rank is not null as is_known_target,
    c.sent, c.shown, c.accepted, c.dismissed,
    c.players_sent, c.players_shown, c.players_accepted, c.players_dismissed, c.players_notified,
    -- Of a target that nobody was ever sighted with nothing is known, which is not the same as nobody.
    case when t.version_rank is not null then coalesce(u.players_already_there, 0) end as players_already_there,
    coalesce(u.players_measured, 0) as players_measured,
    case when t.version_rank is not null then coalesce(u.players_upgraded_7d, 0) end as players_upgraded_7d,
    {{ share('u.players_upgraded_7d', 'u.players_measured', 'upgrade_rate_7d') }},
    u.hours_to_upgrade_median,
    {{ is_enough('coalesce(u.players_measured, 0)') }} as has_enough_data
from counted c
join targets t on t.service_name = c.service_name and t.target_version = c.target_version
left join upgraded u on u.service_name = c.service_name and u.target_version = c.target_version
