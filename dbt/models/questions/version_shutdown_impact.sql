{{ config(
    unique_key=['service_name', 'version'],
    meta={'publish': {'period': 'all'}}
) }}
with latest as (
    select
        p.service_name, p.version, {{ shown_name('b', grain_label('p.last_device')) }} as device,
        count(*) as players,
        sum(p.service_active_days) as player_days,
        {{ moments('p.service_revenue_usd', 'revenue') }}
    from {{ ref('shown_version_players') }} p
    {{ join_bundled('b', 'p', "'device'", 'p.last_device') }}
    where p.is_latest_version
    group by p.service_name, p.version, {{ shown_name('b', grain_label('p.last_device')) }}
),
-- Few players of a model tell nothing of what it can run.
models as (
    select
        service_name, device,
        device not in ('unknown', 'other') and sum(players) >= {{ var('minimum_device_players') }} as is_told
    from latest
    group by service_name, device
),
used as (
    select
        service_name, version, players, player_days, sessions, playtime_seconds, revenue_usd,
        players_last_7_days, players_previous_7_days
    from {{ ref('recent_versions') }}
),
services as (
    select
        service_name,
        cast(sum(player_days) as bigint) as player_days,
        cast(sum(sessions) as bigint) as sessions,
        sum(playtime_seconds) as playtime_seconds,
        sum(revenue_usd) as revenue_usd
    from used
    group by service_name
),
remaining as (
    select
        l.service_name, l.version,
        cast(sum(l.players) as bigint) as players_remaining,
        cast(sum(case when m.is_told and n.version_rank <= o.version_rank then l.players else 0 end) as bigint)
            as players_without_upgrade,
        cast(sum(case when m.is_told then 0 else l.players end) as bigint) as players_device_unclear,
        -- What those who remain did in all these days, on whatever version: at stake if all of them leave.
        cast(sum(l.player_days) as bigint) as player_days,
        cast(sum(l.revenue_n) as bigint) as revenue_n,
        sum(l.revenue_sum) as revenue_sum,
        sum(l.revenue_squares) as revenue_squares
    from latest l
    join models m on m.service_name = l.service_name and m.device = l.device
    left join {{ ref('version_order') }} o on o.service_name = l.service_name and o.version = l.version
    left join ({{ newest_of_devices() }}) n
        on n.service_name = l.service_name and n.device = l.device
    group by l.service_name, l.version
),
service_players as (
    select service_name, cast(sum(players_remaining) as bigint) as players
    from remaining group by service_name
),
measured as (
    select
        a.service_name, a.version, o.version_sort_key, coalesce(o.release_state, 'other') as release_state,
        o.release_date, o.release_number, coalesce(o.is_newest, false) as is_newest,
        coalesce(u.players, 0) as players,
        coalesce(r.players_remaining, 0) as players_remaining,
        coalesce(r.players_without_upgrade, 0) as players_without_upgrade,
        coalesce(r.players_device_unclear, 0) as players_device_unclear,
        coalesce(u.player_days, 0) as player_days,
        coalesce(u.sessions, 0) as sessions,
        coalesce(u.playtime_seconds, 0) as playtime_seconds,
        coalesce(u.revenue_usd, 0) as revenue_usd,
        coalesce(u.players_last_7_days, 0) as players_last_7_days,
        coalesce(u.players_previous_7_days, 0) as players_previous_7_days,
        coalesce(p.players, 0) as service_players,
        coalesce(r.player_days, 0) as remaining_player_days,
        coalesce(r.revenue_sum, 0) as remaining_revenue_usd,
        r.revenue_n, r.revenue_sum, r.revenue_squares,
        s.player_days as service_player_days,
        s.sessions as service_sessions,
        s.playtime_seconds as service_playtime_seconds,
        case when s.revenue_usd > 0 then s.revenue_usd end as service_revenue_usd
    from {{ ref('active_versions') }} a
    -- Several versions together have no place in the order, and nobody shuts them down at once.
    left join {{ ref('version_order') }} o on o.service_name = a.service_name and o.version = a.version
    left join used u on u.service_name = a.service_name and u.version = a.version
    left join services s on s.service_name = a.service_name
    left join remaining r on r.service_name = a.service_name and r.version = a.version
    left join service_players p on p.service_name = a.service_name
),
stakes as (
    select
        *,
        {{ share('players_remaining', 'service_players', 'share_remaining') }},
        {{ mean('revenue', 'revenue_each') }}
    from measured
)
select
    service_name, version, version_sort_key, release_state, release_date, release_number, is_newest,
    players,
    {{ ratio('players', 'service_players') }} as share_of_players,
    players_remaining,
    share_remaining as share_of_players_remaining,
    share_remaining_low as share_of_players_remaining_low,
    share_remaining_high as share_of_players_remaining_high,
    players_without_upgrade,
    players_device_unclear,
    {{ ratio('players_without_upgrade', 'players_remaining') }} as share_without_upgrade,
    {{ ratio('player_days', 'service_player_days') }} as share_of_dau,
    sessions,
    {{ ratio('sessions', 'service_sessions') }} as share_of_sessions,
    cast(playtime_seconds as double precision) as playtime_seconds,
    {{ ratio('playtime_seconds', 'service_playtime_seconds') }} as share_of_playtime,
    cast(revenue_usd as double precision) as revenue_usd,
    {{ ratio('revenue_usd', 'service_revenue_usd') }} as share_of_revenue,
    {{ ratio('remaining_player_days', 'service_player_days') }} as remaining_share_of_dau,
    cast(remaining_revenue_usd as double precision) as remaining_revenue_usd,
    {{ ratio('remaining_revenue_usd', 'service_revenue_usd') }} as remaining_share_of_revenue,
    players_last_7_days,
    players_previous_7_days,
    case
        when release_state = 'other' or not {{ is_enough('service_players') }} then null
        when is_newest then 'newest'
        when release_state = 'tester' then 'not_released'
        when players_remaining = 0 then 'unused'
        when players_without_upgrade > 0 then 'strands_players'
        -- Of those who remain and what they pay, more than chance: one of sixty is one, whoever it is.
        when share_remaining_low > {{ var('cheap_shutdown_share') }}
            or players_remaining >= {{ var('minimum_device_players') }}
            and coalesce(revenue_each_low * revenue_n / service_revenue_usd, 0) > {{ var('cheap_shutdown_share') }}
        then 'costly'
        else 'cheap'
    end as verdict
from stakes
