{{ config(
    unique_key=['date', 'studio', 'game'],
    meta={'publish': {'period': 'date', 'column': 'date', 'kind': 'console'}}
) }}
-- The feed is small, and its shares look at everything before: all dates are asked.
with days as (
    select
        date, studio, game,
        sum(installs)::bigint as installs,
        sum(trophies)::bigint as trophies,
        sum(subscriptions)::bigint as subscriptions,
        sum(purchases)::bigint as purchases,
        sum(net_usd)::double precision as revenue_usd,
        sum(case when player_id != '' and net_usd > 0 then 1 else 0 end)::bigint as payers
    from {{ ref('console_player_days') }}
    group by date, studio, game
),
firsts as (
    select
        studio, game, player_id,
        min(date) as first_date,
        min(case when trophies > 0 then date end) as first_trophy_date,
        min(case when subscriptions > 0 then date end) as first_subscription_date
    from {{ ref('console_player_days') }}
    where player_id != ''
    group by studio, game, player_id
),
steps as (
    select date, studio, game, 0 as players, 0 as trophy_players, 0 as subscribers from days
    union all
    select first_date, studio, game, 1, 0, 0 from firsts
    union all
    select first_trophy_date, studio, game, 0, 1, 0 from firsts where first_trophy_date is not null
    union all
    select first_subscription_date, studio, game, 0, 0, 1
    from firsts where first_subscription_date is not null
),
so_far as (
    select
        date, studio, game,
        {% for figure in ['players', 'trophy_players', 'subscribers'] %}
        (sum(sum({{ figure }})) over (
            partition by studio, game order by date rows unbounded preceding
        ))::bigint as {{ figure }}{{ ',' if not loop.last }}
        {% endfor %}
    from steps group by date, studio, game
),
periods as (select distinct date from days),
waiting as ({{ waiting_grains('periods', 'date', kind='console') }})
select
    d.date, d.studio, d.game,
    d.installs, d.purchases, d.revenue_usd, d.payers, d.trophies, d.subscriptions,
    f.players, f.trophy_players, f.subscribers,
    f.trophy_players::double precision / nullif(f.players, 0) as trophy_earned_rate,
    f.subscribers::double precision / nullif(f.players, 0) as subscriber_share,
    coalesce(d.date + 1 <= t.now_at, false) and w.game is null as is_complete
from days d
join so_far f on f.date = d.date and f.studio = d.studio and f.game = d.game
cross join {{ ref('processed_through') }} t
left join waiting w on w.date = d.date and w.studio = d.studio and w.game = d.game
