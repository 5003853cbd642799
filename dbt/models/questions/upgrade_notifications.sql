{{ config(
    unique_key=['service_name', 'target_version'],
    meta={'publish': {'period': 'all'}}
) }}
with notifications as (
    select
        service_name, player_id, coalesce(target_version, 'unknown') as target_version, detail, event_at
    from {{ ref('player_events') }}
    where event_name = 'Notification' and subject = 'VersionUpgrade'
),
-- By player once; those that nobody is known of come together and count as no player.
told as (
    select
        service_name, target_version, player_id,
        {%- for status in ['sent', 'shown', 'accepted', 'dismissed'] %}
        count(case when detail = '{{ status }}' then 1 end) as {{ status }},
        {%- endfor %}
        min(event_at) as notified_at
    from notifications
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
    from told
    group by service_name, target_version
),
firsts as (
    select service_name, target_version, player_id, notified_at
    from told
    where player_id is not null
),
-- Whoever is on a later version than the target has it behind them.
reached as (
    select
        f.service_name, f.target_version, f.player_id, f.notified_at,
        coalesce(max(case
            when i.valid_from <= f.notified_at and (i.valid_to is null or i.valid_to > f.notified_at) then 1
        end), 0) = 1 as is_already_there,
        min(case when i.valid_from > f.notified_at then i.valid_from end) as reached_at
    from firsts f
    left join {{ ref('version_order') }} t
        on t.service_name = f.service_name and t.version = f.target_version
    left join {{ ref('version_order') }} o
        on o.service_name = t.service_name and o.release_number >= t.release_number
    left join {{ ref('stg_user_version_intervals') }} i
        on i.service_name = f.service_name and i.player_id = f.player_id and i.version = o.version
    group by f.service_name, f.target_version, f.player_id, f.notified_at
),
measured as (
    select
        service_name, target_version, is_already_there,
        not is_already_there and notified_at + interval '7 days' <= now_at as is_measured,
        reached_at <= notified_at + interval '7 days' as is_upgraded,
        {{ seconds_between('notified_at', 'reached_at') }} / 3600 as hours
    from reached
    cross join {{ ref('processed_through') }}
),
upgraded as (
    select
        service_name, target_version,
        count(case when is_already_there then 1 end) as players_already_there,
        count(case when is_measured then 1 end) as players_measured,
        count(case when is_measured and is_upgraded then 1 end) as players_upgraded_7d,
        {{ median_of('case when is_measured and is_upgraded then hours end') }} as hours_to_upgrade_median
    from measured
    group by service_name, target_version
)
select
    c.service_name, c.target_version,
    c.sent, c.shown, c.accepted, c.dismissed,
    c.players_sent, c.players_shown, c.players_accepted, c.players_dismissed, c.players_notified,
    coalesce(u.players_already_there, 0) as players_already_there,
    coalesce(u.players_measured, 0) as players_measured,
    coalesce(u.players_upgraded_7d, 0) as players_upgraded_7d,
    {{ share('u.players_upgraded_7d', 'u.players_measured', 'upgrade_rate_7d') }},
    u.hours_to_upgrade_median,
    {{ is_enough('coalesce(u.players_measured, 0)') }} as has_enough_data
from counted c
left join upgraded u on u.service_name = c.service_name and u.target_version = c.target_version
