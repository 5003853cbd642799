{{ config(
    unique_key=['service_name', 'version', 'player_id'],
    incremental_predicates=[recent_players_predicate('staging.affected_activity_players')],
    meta={'order_by': 'service_name, version'}
) }}
-- depends_on: {{ ref('affected_recent_days') }}
-- One pass over 28 days, for all the questions that are about them.
with summed as (
    select
        service_name, version, player_id,
        count(case when is_active then 1 end) as active_days,
        max(case when is_active then date end) as last_active_date,
        cast(sum(case when is_active then date - date '2000-01-01' end) as bigint) as active_date_sum,
        -- The device of that date: texts of dates are in the order of dates.
        substr(max({{ by_bytes("case when is_active then cast(date as varchar) || device end") }}), 11)
            as last_device,
        max(case when is_active and {{ last_days('date', 7, 7) }} then 1 else 0 end) = 1 as was_active_a_week_ago,
        cast(sum(sessions) as bigint) as sessions,
        sum(playtime_seconds) as playtime_seconds,
        sum(revenue_usd) as revenue_usd,
        sum(case when is_active then playtime_seconds else 0 end) as active_playtime_seconds,
        sum(case when is_active then revenue_usd else 0 end) as active_revenue_usd,
        {%- for measure in ['sessions', 'feature_uses', 'issues'] %}
        cast(sum(case when is_active then {{ measure }} else 0 end) as bigint) as active_{{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('version_player_days') }}
    where {{ last_days('date', 28) }}
        and {{ among_recent_players(ref('affected_activity_players')) }}
    group by service_name, version, player_id
)
select
    *,
    -- A date has one version: whoever is latest on it is so on no other. Those who ask for the latest
    -- need no look at the player's other versions.
    coalesce(
        last_active_date = max(last_active_date) over (partition by service_name, player_id), false
    ) as is_latest_version,
    cast(sum(active_days) over (partition by service_name, player_id) as bigint) as service_active_days,
    sum(revenue_usd) over (partition by service_name, player_id) as service_revenue_usd
from summed
