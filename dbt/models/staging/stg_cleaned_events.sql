select
    event_id,
    partition_id,
    source,
    studio,
    game,
    service_name,
    nullif(case when {{ is_blank('session_id') }} then '' else session_id end, '') as session_id,
    transaction_id,
    event_name,
    event_at,
    own_player_id,
    case when event_name = 'SoftwareVersion' then {{ attribute('Version') }} end as version,
    case when event_name = 'SoftwareVersion' then {{ attribute('Device') }} end as own_device,
    case when {{ is_blank('session_id') }} then {{ attribute('Platform') }} end as own_platform,
    case when event_name = 'Purchase' then {{ attribute('Amount') }} end as amount_text,
    case when event_name = 'Purchase' then upper(trim({{ attribute('Currency') }})) end as currency
from {{ source('lake', 'cleaned_events') }}
