{{ config(
    unique_key=['service_name', 'install_source'],
    meta={'publish': {'period': 'all'}}
) }}
with told as (
    select
        service_name, nullif(player_id, '') as player_id, subject, hour, events, first_at, first_transaction_id
    from {{ ref('shown_milestones') }}
    where event_name = 'Install'
),
bundled as ({{ beyond_largest('told', ['service_name'], 'subject', var('most_names')) }}),
installs as (
    select
        t.service_name, t.player_id, {{ shown_name('b', 't.subject') }} as install_source,
        t.hour, t.events, t.first_at::date as day_0,
        row_number() over (
            partition by t.service_name, t.player_id
            order by t.first_at, t.first_transaction_id, {{ by_bytes('t.subject') }}
        ) as place
    from told t
    left join bundled b on b.service_name = t.service_name and b.name = t.subject
),
counted as (
    select
        service_name, install_source,
        cast(sum(events) as bigint) as installs,
        cast(sum(case when hour >= now_at - interval '28 days' and hour < now_at then events else 0 end) as bigint)
            as installs_last_28_days
    from installs
    cross join {{ ref('processed_through') }}
    group by service_name, install_source
),
firsts as (
    select service_name, player_id, install_source, day_0
    from installs
    where player_id is not null and place = 1
),
followed as ({{ followed('firsts') }}),
cohorts as (
    select
        i.service_name, i.install_source,
        count(*) as players,
        {{ retention_counts() }},
        count(case when f.is_d30 then 1 end) as players_d30,
        count(case when f.revenue_usd > 0 then 1 end) as payers,
        {{ moments('f.revenue_usd', 'revenue') }},
        {{ moments('f.revenue_d7', 'revenue_d7') }},
        {{ moments('f.revenue_d30', 'revenue_d30') }}
    from firsts i
    join followed f on f.service_name = i.service_name and f.player_id = i.player_id
    group by i.service_name, i.install_source
),
joined as (
    select
        n.service_name, n.install_source, n.installs, n.installs_last_28_days,
        coalesce(c.players, 0) as players,
        cast(sum(c.players) over (partition by n.service_name) as bigint) as service_players,
        coalesce(c.players_d1, 0) as players_d1, c.retained_d1,
        coalesce(c.players_d7, 0) as players_d7, c.retained_d7,
        coalesce(c.payers, 0) as payers,
        coalesce(c.players_d30, 0) as players_d30,
        {%- for day in ['d7', 'd30'] %}
        c.revenue_{{ day }}_n, c.revenue_{{ day }}_sum, c.revenue_{{ day }}_squares,
        {%- endfor %}
        c.revenue_n, c.revenue_sum, c.revenue_squares
    from counted n
    left join cohorts c on c.service_name = n.service_name and c.install_source = n.install_source
)
select
    service_name, install_source, installs, installs_last_28_days, players,
    {{ share('players', 'service_players', 'share_of_players') }},
    players_d1,
    {{ share('retained_d1', 'players_d1', 'retention_d1') }},
    players_d7,
    {{ share('retained_d7', 'players_d7', 'retention_d7') }},
    payers,
    cast(coalesce(revenue_sum, 0) as double precision) as revenue_usd,
    {{ mean('revenue', 'revenue_per_player_usd') }},
    -- Sources of different age are compared by these.
    {{ mean('revenue_d7', 'revenue_d7_per_player_usd') }},
    players_d30,
    {{ mean('revenue_d30', 'revenue_d30_per_player_usd') }},
    {{ is_enough('players') }} as has_enough_data
from joined
