select
    player_id,
    current_version,
    current_device,
    current_service,
    first_seen_at,
    last_seen_at,
    version_count
from {{ source('lake', 'user_version_history') }}
