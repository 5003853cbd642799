{{ config(
    unique_key=['date', 'studio', 'game'],
    meta={
        'window': {'relation': 'affected_stream_dates', 'period': 'date', 'column': 'date'},
        'publish': {'period': 'date', 'column': 'date', 'kind': 'stream'}
    }
) }}
with games as (
    select
        hour,
        {{ grain_label('studio') }} as studio,
        {{ grain_label('game') }} as game,
        average_viewers, peak_viewers, channels, hours_streamed,
        -- The ratio is of the games and hours that tell both.
        case when hours_streamed is not null then average_viewers end as watched_of_both,
        case when average_viewers is not null then hours_streamed end as streamed_of_both
    from {{ ref('stg_stream_stats') }}
    where {{ in_window('hour', ref('affected_stream_dates'), 'date') }}
),
hours as (
    select
        hour, coalesce(studio, 'all') as studio, coalesce(game, 'all') as game,
        sum(average_viewers) as average_viewers,
        sum(peak_viewers) as peak_viewers,
        sum(channels) as channels,
        sum(hours_streamed) as hours_streamed,
        sum(watched_of_both) as watched_of_both,
        sum(streamed_of_both) as streamed_of_both
    from games
    group by grouping sets ((hour, studio, game), (hour, studio), (hour))
),
days as (
    select
        hour::date as date, studio, game,
        -- An hour's viewers watched for an hour.
        sum(average_viewers)::double precision as hours_watched,
        max(peak_viewers)::bigint as peak_viewers,
        max(channels)::bigint as peak_channels,
        sum(hours_streamed)::double precision as hours_streamed,
        sum(watched_of_both)::double precision as watched_of_both,
        sum(streamed_of_both)::double precision as streamed_of_both
    from hours group by hour::date, studio, game
),
periods as (select distinct date from days),
waiting as ({{ waiting_grains('periods', 'date', kind='stream') }})
select
    d.date, d.studio, d.game,
    d.hours_watched,
    d.hours_watched / 24 as average_viewers,
    d.peak_viewers,
    d.peak_channels,
    d.hours_streamed,
    d.watched_of_both / nullif(d.streamed_of_both, 0) as viewer_ratio,
    coalesce(d.date + 1 <= t.now_at, false) and w.game is null as is_complete
from days d
cross join {{ ref('processed_through') }} t
left join waiting w on w.date = d.date and w.studio = d.studio and w.game = d.game
