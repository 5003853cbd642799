select
    player_id,
    service_name,
    device,
    version,
    valid_from,
    valid_to
from {{ source('lake', 'user_version_intervals') }}
