select
    studio,
    game,
    hour,
    -- Sums of decimals do not depend on the order of the rows.
    average_viewers::decimal(28, 6) as average_viewers,
    peak_viewers,
    channels,
    hours_streamed::decimal(28, 6) as hours_streamed
from {{ source('lake', 'stream_stats') }}
