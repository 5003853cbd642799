select
    coalesce({{ grain_label('studio') }}, 'all') as studio,
    coalesce({{ grain_label('game') }}, 'all') as game,
    kind, first_hour, end_hour
from {{ source('lake', 'waits') }}
