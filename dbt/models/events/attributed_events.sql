{{ config(meta={'purchase_limit_usd': var('purchase_limit_usd')}) }}
-- What the models of a run read of events, and they read no others: affected hours whole, of affected
-- dates what affected players did and console platforms told, and all sightings of sessions of which
-- any may differ. In a full refresh all events of days that are not kept.
-- depends_on: {{ ref('affected_event_hours') }}
-- depends_on: {{ ref('affected_activity_dates') }}
-- depends_on: {{ ref('affected_activity_players') }}
-- depends_on: {{ ref('affected_sighted_sessions') }}
with events as (
    {%- if not is_update() %}
    select * from {{ ref('stg_cleaned_events') }} where event_at >= {{ first_open_date() }}
    {%- else %}
    {%- set in_hours = window_predicate('event_at', ref('affected_event_hours'), 'hour') %}
    {%- set on_dates = window_predicate('event_at', ref('affected_activity_dates'), 'date') %}
    {%- set of_players = affected_players_predicate('player_id', ref('affected_activity_players')) %}
    select * from {{ ref('stg_cleaned_events') }} where {{ in_hours }}
    union all
    -- Joined, as PostgreSQL asks every row of a list that stands beside an `or`.
    select e.*
    from {{ ref('stg_cleaned_events') }} e
    left join (
        select distinct source, service_name, session_id from {{ source('lake', 'sessions') }} where {{ of_players }}
            and {{ spans_predicate('started_at', 'ended_at', ref('affected_activity_dates'), 'date') }}
    ) s on s.source = e.source and s.service_name = e.service_name and s.session_id = e.session_id
    left join {{ ref('affected_activity_players') }} p on p.player_id = e.own_player_id
    left join (select source from {{ source('lake', 'sources') }} where kind = 'console') k on k.source = e.source
    where {{ on_dates }} and not ({{ in_hours }})
        and (s.source is not null or p.player_id is not null or k.source is not null)
    union all
    select * from {{ ref('stg_cleaned_events') }}
    where version is not null and not ({{ on_dates }})
        and event_at >= (select min(session_started_at) from {{ ref('affected_sighted_sessions') }})
        and (source, service_name, session_id) in (
            select source, service_name, session_id from {{ ref('affected_sighted_sessions') }}
        )
    {%- endif %}
),
-- Copies in several ingest hours are one event. They are few: to look them up costs a third of
-- numbering every event's copies.
copied as (
    select event_id, min(partition_id) as first_partition_id
    from events
    group by event_id
    having count(*) > 1
),
distinct_events as (
    select c.*
    from events c
    left join copied d on d.event_id = c.event_id
    where d.event_id is null or d.first_partition_id = c.partition_id
),
-- A refund that names its purchase is converted at that day's rate; purchases longer ago are not looked
-- for, so that what is read does not grow for ever.
refunds as (
    select event_id, source, refund_of, event_at from distinct_events where refund_of is not null
),
refunded as (
    select r.event_id, min(p.event_at) as purchased_at
    from refunds r
    join (
        select source, purchase_id, event_at from {{ source('lake', 'purchases') }}
        where purchase_id is not null and refund_of is null
            and event_at >= (select min(event_at) - interval '{{ var('refund_days') }} days' from refunds)
            and event_at <= (select max(event_at) from refunds)
        {%- if target.type == 'duckdb' %}
        union all
        select source, purchase_id, event_at from lake.kept_purchases
        {%- endif %}
    ) p
        on p.source = r.source and p.purchase_id = r.refund_of
        and p.event_at <= r.event_at and p.event_at >= r.event_at - interval '{{ var('refund_days') }} days'
    group by r.event_id
)
select
    e.event_id,
    e.source,
    e.studio,
    e.game,
    e.service_name,
    e.session_id,
    s.started_at as session_started_at,
    case when e.session_id is null then e.own_player_id else s.player_id end as player_id,
    coalesce(s.platform, e.own_platform, 'unknown') as platform,
    coalesce(e.own_device, s.device, 'unknown') as device,
    e.transaction_id,
    e.event_name,
    e.event_at,
    -- A refund is the shop's doing. What a console platform tells of happened outside the game, but whoever pays is there.
    e.event_name not in ('Install', 'Notification') and not ({{ is_refund('e') }})
        and (k.kind is null or k.kind != 'console' or e.event_name = 'Purchase') as is_activity,
    e.version,
    e.version_sort_key,
    {{ finite_number('e.amount_text') }} as amount,
    e.currency,
    r.usd_per_unit is not null as has_rate,
    case
        when abs({{ finite_number('e.amount_text') }} * r.usd_per_unit) <= {{ var('purchase_limit_usd') }}
        then {{ usd(finite_number('e.amount_text') ~ ' * r.usd_per_unit') }}
    end as revenue_usd,
    e.subject,
    e.detail,
    e.target_version,
    e.purchase_id,
    e.refund_of
from distinct_events e
left join {{ source('lake', 'sessions') }} s
    on s.source = e.source and s.service_name = e.service_name and s.session_id = e.session_id
    and e.event_at between s.started_at and s.ended_at
left join {{ source('lake', 'sources') }} k on k.source = e.source
left join refunded f on f.event_id = e.event_id
left join {{ ref('stg_exchange_rates') }} r
    on r.currency = e.currency
    and coalesce(f.purchased_at, e.event_at) >= r.valid_from
    and (r.valid_to is null or coalesce(f.purchased_at, e.event_at) < r.valid_to)
