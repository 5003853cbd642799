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
    case when event_name = 'SoftwareVersion' then version end as version,
    version_sort_key,
    case when event_name = 'SoftwareVersion' then {{ attribute('Device') }} end as own_device,
    own_platform,
    case when event_name = 'Purchase' then {{ attribute('Amount') }} end as amount_text,
    case when event_name = 'Purchase' then upper(trim({{ attribute('Currency') }})) end as currency,
    case event_name
        when 'FeatureUsed' then {{ attribute('Feature') }}
        when 'Crash' then {{ attribute('Code') }}
        when 'Issue' then {{ attribute('Code') }}
        when 'Install' then {{ attribute('Source') }}
        when 'Notification' then {{ attribute('Kind') }}
        when 'ExperimentAssigned' then {{ attribute('Experiment') }}
    end as subject,
    case event_name
        when 'Crash' then {{ attribute('Severity') }}
        when 'Issue' then {{ attribute('Severity') }}
        when 'Notification' then {{ attribute('Status') }}
        when 'ExperimentAssigned' then {{ attribute('Variant') }}
    end as detail,
    case when event_name = 'Notification' then version end as target_version,
    purchase_id,
    refund_of
from {{ source('events_of_run', 'cleaned_events') }}
