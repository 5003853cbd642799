{{ config(
    unique_key=['date', 'service_name', 'player_id'],
    meta={
        'window': {
            'relation': 'affected_version_dates', 'period': 'date', 'column': 'date',
            'affected_players': 'affected_activity_players'
        },
        'order_by': 'date'
    }
) }}
with carried as (
    -- A day without a sighting begins and ends with the version of the days before.
    select date, service_name, player_id, version, device
    from (
        select
            d.date, d.service_name, d.player_id, i.version, i.device,
            row_number() over (
                partition by d.date, d.service_name, d.player_id
                order by i.valid_from desc, {{ by_bytes('i.device') }} desc
            ) as place
        from {{ ref('service_player_days') }} d
        join {{ ref('stg_user_version_intervals') }} i
            on i.service_name = d.service_name and i.player_id = d.player_id
            and i.valid_from < d.date + 1 and (i.valid_to is null or i.valid_to >= d.date)
        where d.version is null
            and {{ in_window('d.date', ref('affected_version_dates'), 'date') }}
            and {{ among_affected_players('d.player_id', ref('affected_activity_players')) }}
    ) as in_effect
    where place = 1
)
select
    d.date,
    d.service_name,
    d.player_id,
    coalesce(d.version, c.version, 'unknown') as version,
    coalesce(d.device, c.device, 'unknown') as device,
    d.version is not null as is_sighted,
    d.is_active,
    d.sessions,
    d.playtime_seconds,
    d.revenue_usd,
    d.feature_uses,
    d.issues
from {{ ref('service_player_days') }} d
left join carried c
    on d.version is null and c.date = d.date and c.service_name = d.service_name
    and c.player_id = d.player_id
where {{ in_window('d.date', ref('affected_version_dates'), 'date') }}
    and {{ among_affected_players('d.player_id', ref('affected_activity_players')) }}
{{ laid_down_by('date') }}
