{{ config(materialized='view') }}
{%- set measures = [
    'sessions', 'playtime_seconds', 'revenue_usd', 'active_sessions', 'active_playtime_seconds',
    'active_revenue_usd', 'active_feature_uses', 'active_issues'
] %}
{%- set types = {'playtime_seconds': 'decimal(38, 6)', 'revenue_usd': 'decimal(38, 6)',
    'active_playtime_seconds': 'decimal(38, 6)', 'active_revenue_usd': 'decimal(38, 6)'} %}
-- In a bundled service a day on which a player was in several is one day: they are counted from their days.
with days_of_services as (
    select
        d.date, d.player_id, max(case when d.is_active then 1 else 0 end) = 1 as is_active, cast('other' as varchar) as device,
        {%- for measure in ['sessions', 'playtime_seconds', 'revenue_usd', 'feature_uses', 'issues'] %}
        sum(d.{{ measure }}) as {{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('version_player_days') }} d
    join {{ ref('bundled_services') }} s on s.service_name = d.service_name
    where {{ last_days('d.date', 28) }}
    group by d.date, d.player_id
),
of_services as (select player_id, {{ summed_player_days() }} from days_of_services group by player_id)
select
    p.service_name, p.version, p.player_id, p.active_days, p.last_active_date, p.active_date_sum, p.last_device,
    p.was_active_a_week_ago, {{ measures | join(', ') }},
    p.is_latest_version, p.service_active_days, p.service_revenue_usd
from {{ ref('recent_version_players') }} p
{{ join_bundled('b', 'p', "'version'", 'p.version') }}
{{ join_bundled_services('s', 'p') }}
where b.name is null and s.service_name is null
union all
-- A date has one version, so that a player's days on several of them add up.
select
    p.service_name, 'other', p.player_id,
    cast(sum(p.active_days) as bigint),
    max(p.last_active_date),
    cast(sum(p.active_date_sum) as bigint),
    substr(max({{ by_bytes('cast(p.last_active_date as varchar) || p.last_device') }}), 11),
    max(case when p.was_active_a_week_ago then 1 else 0 end) = 1,
    {%- for measure in measures %}
    cast(sum(p.{{ measure }}) as {{ types.get(measure, 'bigint') }}),
    {%- endfor %}
    max(case when p.is_latest_version then 1 else 0 end) = 1,
    max(p.service_active_days),
    max(p.service_revenue_usd)
from {{ ref('recent_version_players') }} p
join {{ ref('bundled_names') }} b on b.service_name = p.service_name and b.kind = 'version' and b.name = p.version
group by p.service_name, p.player_id
union all
select
    'other', 'other', player_id, active_days, last_active_date, active_date_sum, last_device,
    was_active_a_week_ago,
    {%- for measure in measures %}
    cast({{ measure }} as {{ types.get(measure, 'bigint') }}),
    {%- endfor %}
    last_active_date is not null, active_days, cast(revenue_usd as decimal(38, 6))
from of_services
