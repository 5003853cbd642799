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
        {{ summed_player_days() }}
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
