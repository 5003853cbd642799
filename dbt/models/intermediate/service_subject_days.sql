{{ config(
    unique_key=['date', 'service_name', 'player_id', 'event_name', 'subject', 'detail'],
    meta={
        'window': {
            'relation': 'affected_version_dates', 'period': 'date', 'column': 'date',
            'affected_players': 'affected_activity_players'
        },
        'note_changes_in': 'changed_subject_days',
        'order_by': 'date'
    }
) }}
-- That comes before this model notes anything:
-- depends_on: {{ ref('affected_recent_days') }}
-- depends_on: {{ ref('affected_activity_dates') }}
with events as (
    select
        event_at::date as date,
        service_name,
        player_id,
        event_name,
        coalesce(subject, 'unknown') as subject,
        -- Blank stands for none: a key without nulls.
        coalesce(detail, '') as detail,
        count(*) as occurrences
    from {{ ref('attributed_events') }}
    where event_name in ('FeatureUsed', 'Crash', 'Issue') and player_id is not null
        and {{ in_window('event_at', ref('affected_activity_dates'), 'date') }}
        and {{ among_affected_players('player_id', ref('affected_activity_players')) }}
    group by
        event_at::date, service_name, player_id, event_name, coalesce(subject, 'unknown'),
        coalesce(detail, '')
    {%- if is_incremental() %}
    -- On other dates the version alone may be another one.
    union all
    select date, service_name, player_id, event_name, subject, detail, occurrences
    from {{ this }}
    where {{ in_window('date', ref('affected_version_dates'), 'date') }}
        and not ({{ in_window('date', ref('affected_activity_dates'), 'date') }})
        and {{ among_affected_players('player_id', ref('affected_activity_players')) }}
    {%- endif %}
)
select
    t.date, t.service_name, t.player_id, t.event_name, t.subject, t.detail,
    v.version, v.is_sighted,
    t.occurrences
from events t
join {{ ref('version_player_days') }} v
    on v.date = t.date and v.service_name = t.service_name and v.player_id = t.player_id
where {{ in_window('v.date', ref('affected_version_dates'), 'date') }}
    and {{ among_affected_players('v.player_id', ref('affected_activity_players')) }}
{{ kept_rows() }}
