select
    player_id,
    service_name,
    device,
    version,
    version_sort_key,
    valid_from,
    valid_to
from {{ source('lake', 'user_version_intervals') }}
