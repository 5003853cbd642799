{{ config(
    unique_key=['service_name', 'version', 'event_name', 'subject', 'is_total']
) }}
-- Read from what this model notes of its changes:
-- depends_on: {{ ref('service_subject_days') }}
-- depends_on: {{ ref('affected_recent_days') }}
{%- set is_difference = is_incremental() and execute and not recent_days_moved(ref('affected_recent_days')) %}
with told as (
    select service_name, version, event_name, subject, player_id, occurrences
    from {{ ref('service_subject_days') }}
    where {{ last_days('date', 28) }}
        {%- if is_difference %}
        and player_id in (select player_id from {{ source('lake', 'changed_subject_days') }})
        {%- endif %}
),
{%- if is_difference %}
-- While the dates stay the same, what is there differs by what changed of the players who changed: as
-- they are now, less as they were.
differences as (
    select service_name, version, event_name, subject, player_id, occurrences, 0 as difference from told
    union all
    select
        service_name, version, event_name, subject, player_id,
        0, case when change = 'added' then occurrences else -occurrences end
    from {{ source('lake', 'changed_subject_days') }}
    where {{ last_days('date', 28) }}
),
{%- endif %}
subjects as (
    {%- for is_total in [false, true] %}
    -- A player with two codes is one player with crashes.
    select
        service_name, version, event_name,
        {{ "''" if is_total else 'subject' }} as subject, {{ is_total | lower }} as is_total, player_id,
        {%- if is_difference %}
        sum(difference) as occurrences,
        case when sum(occurrences) > 0 then 1 else 0 end
            - case when sum(occurrences) - sum(difference) > 0 then 1 else 0 end as players
        {%- else %}
        sum(occurrences) as occurrences, 1 as players
        {%- endif %}
    from {{ 'differences' if is_difference else 'told' }}
    {{ "where event_name in ('Crash', 'Issue')" if is_total }}
    group by service_name, version, event_name, {{ 'subject,' if not is_total }} player_id
    {{ 'union all' if not is_total }}
    {%- endfor %}
    {%- if is_difference %}
    union all
    select service_name, version, event_name, subject, is_total, '', occurrences, players from {{ this }}
    {%- endif %}
)
select
    service_name, version, event_name, subject, is_total,
    cast(sum(occurrences) as bigint) as occurrences,
    cast(sum(players) as bigint) as players
from subjects
group by service_name, version, event_name, subject, is_total
having sum(occurrences) > 0
