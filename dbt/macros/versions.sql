{# The newest version, in the service's order, ever sighted on each device and on `all`; a build that was
   never released only where a device has seen no other. Columns besides: version_rank, its place. #}
{% macro newest_of_devices() %}
    select service_name, device, version, version_rank
    from (
        select
            service_name, device, version, version_rank,
            row_number() over (
                partition by service_name, device
                order by case when is_released then 0 else 1 end, version_rank desc, {{ by_bytes('version') }} desc
            ) as place
        from (
            select
                d.service_name, {{ grain_label('d.device') }} as device, o.version, o.version_rank, o.is_released
            from {{ ref('version_days') }} d
            join {{ ref('version_order') }} o
                on o.service_name = d.service_name and o.version = d.version
            union all
            select service_name, 'all', version, version_rank, is_released from {{ ref('version_order') }}
        ) as on_devices
    ) as placed
    where place = 1
{% endmacro %}

{# What happened of a player on the days from day 0 on: retention on days 1 and 7 of the service, and
   revenue since. `cohort` is a relation with service_name, player_id and day_0; columns besides:
   is_d1, is_d7, is_d30 (the day is over), is_retained_d1, is_retained_d7, revenue_usd, and revenue_d7 and
   revenue_d30 (through that day; null until it is over). #}
{% macro followed(cohort) %}
    select
        c.service_name, c.player_id, c.day_0,
        c.day_0 + 1 <= f.last_date as is_d1,
        c.day_0 + 7 <= f.last_date as is_d7,
        c.day_0 + 30 <= f.last_date as is_d30,
        coalesce(max(case when d.date = c.day_0 + 1 and d.is_active then 1 end), 0) = 1 as is_retained_d1,
        coalesce(max(case when d.date = c.day_0 + 7 and d.is_active then 1 end), 0) = 1 as is_retained_d7,
        {%- for n in [7, 30] %}
        case when c.day_0 + {{ n }} <= f.last_date then
            cast(coalesce(sum(case when d.date <= c.day_0 + {{ n }} then d.revenue_usd end), 0) as decimal(18, 6))
        end as revenue_d{{ n }},
        {%- endfor %}
        cast(coalesce(sum(d.revenue_usd), 0) as decimal(18, 6)) as revenue_usd
    from {{ cohort }} c
    cross join (select now_at::date - 1 as last_date from {{ ref('processed_through') }}) f
    left join {{ ref('shown_player_days') }} d
        on d.service_name = c.service_name and d.player_id = c.player_id and d.date >= c.day_0
        -- Other days say nothing.
        and (d.revenue_usd <> 0 or d.date = c.day_0 + 1 or d.date = c.day_0 + 7)
    group by c.service_name, c.player_id, c.day_0, f.last_date
{% endmacro %}

{# The counts that retention is made of, of a relation made by `followed`: six columns. #}
{% macro retention_counts() %}
    count(case when is_d1 then 1 end) as players_d1,
    case when max(case when is_d1 then 1 else 0 end) = 1
        then count(case when is_d1 and is_retained_d1 then 1 end) end as retained_d1,
    count(case when is_d7 then 1 end) as players_d7,
    case when max(case when is_d7 then 1 else 0 end) = 1
        then count(case when is_d7 and is_retained_d7 then 1 end) end as retained_d7
{%- endmacro %}

{# The last 28 days' features, crashes or issues by version, as CTEs that end with `with_previous`: one
   row per service, version, event name and subject (and those that only the previous version had,
   with 0 players, where `with_vanished`), beside the previous version's. A subject of a version whose
   previous one had players, but none with it, has previous_players 0. #}
{% macro subjects_by_version(event_names, with_totals=false, with_vanished=false) %}
version_users as (
    select
        service_name, version, players as version_players, sessions as version_sessions,
        player_days as version_days, player_days_squared as version_days_squared
    from {{ ref('recent_versions') }}
),
subjects as (
    select
        service_name, version, event_name, occurrences, players, days, days_squared, days_by_exposure,
        {%- if with_totals %}
        case when is_total then 'all' else {{ grain_label('subject') }} end as subject
        {%- else %} subject
        {%- endif %}
    from {{ ref('recent_subjects') }}
    where event_name in {{ event_names }} {{ 'and not is_total' if not with_totals }}
),
present as (
    select
        service_name, version, event_name, subject, occurrences, players, days, days_squared, days_by_exposure
    from subjects
    {%- if with_vanished %}
    union all
    select o.service_name, o.version, p.event_name, p.subject, 0, 0, 0, 0, 0
    from subjects p
    join {{ ref('version_order') }} o
        on o.service_name = p.service_name and o.previous_version = p.version
    join version_users u on u.service_name = o.service_name and u.version = o.version
    left join subjects s
        on s.service_name = o.service_name and s.version = o.version
        and s.event_name = p.event_name and s.subject = p.subject
    where s.subject is null
    {%- endif %}
),
first_versions as (
    select
        s.service_name, s.event_name,
        {%- if with_totals %}
        coalesce({{ grain_label('s.subject') }}, 'all') as subject,
        {%- else %} s.subject, {%- endif %}
        min(o.release_number) as release_number
    from {{ ref('subject_versions') }} s
    join {{ ref('version_order') }} o on o.service_name = s.service_name and o.version = s.version
    where s.event_name in {{ event_names }}
    {%- if with_totals %}
    group by grouping sets (
        (s.service_name, s.event_name, {{ grain_label('s.subject') }}), (s.service_name, s.event_name)
    )
    {%- else %}
    group by s.service_name, s.event_name, s.subject
    {%- endif %}
),
beside_previous as (
    select
        p.service_name, p.version, o.version_sort_key, p.event_name, p.subject, p.occurrences, p.players,
        p.days, p.days_squared, p.days_by_exposure, u.version_days, u.version_days_squared,
        coalesce(u.version_players, 0) as version_players,
        coalesce(u.version_sessions, 0) as version_sessions,
        coalesce(f.release_number = o.release_number and o.release_number > 1, false) as is_new,
        o.previous_version,
        pu.version_players as previous_version_players,
        pu.version_sessions as previous_version_sessions,
        case when pu.service_name is not null then coalesce(ps.players, 0) end as previous_players,
        case when pu.service_name is not null then coalesce(ps.occurrences, 0) end as previous_occurrences,
        pu.version_days as previous_version_days, pu.version_days_squared as previous_version_days_squared,
        {%- for name in ['days', 'days_squared', 'days_by_exposure'] %}
        case when pu.service_name is not null then coalesce(ps.{{ name }}, 0) end as previous_{{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from present p
    left join version_users u on u.service_name = p.service_name and u.version = p.version
    left join {{ ref('version_order') }} o on o.service_name = p.service_name and o.version = p.version
    left join first_versions f
        on f.service_name = p.service_name and f.event_name = p.event_name and f.subject = p.subject
    left join version_users pu
        on pu.service_name = o.service_name and pu.version = o.previous_version
    left join subjects ps
        on ps.service_name = o.service_name and ps.version = o.previous_version
        and ps.event_name = p.event_name and ps.subject = p.subject
),
with_shares as (
    select
        *,
        {{ ratio('days', 'version_days') }} as day_share,
        {{ ratio('previous_days', 'previous_version_days') }} as previous_day_share
    from beside_previous
),
with_previous as (
    select
        *,
        {{ effective_number('day_share', 'days_squared', 'days_by_exposure', 'version_days', 'version_days_squared', 'version_players') }}
            as effective_days,
        {{ effective_number('previous_day_share', 'previous_days_squared', 'previous_days_by_exposure',
            'previous_version_days', 'previous_version_days_squared', 'previous_version_players') }}
            as previous_effective_days
    from with_shares
)
{%- endmacro %}

{# The share of days with a subject and its bounds, of a relation made by `subjects_by_version`. #}
{% macro share_of_days(prefix, name) -%}
    {{ share(prefix ~ 'day_share * ' ~ prefix ~ 'effective_days', prefix ~ 'effective_days', name) }}
{%- endmacro %}
