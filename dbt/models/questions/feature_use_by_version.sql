{{ config(
    unique_key=['service_name', 'version', 'feature'],
    meta={'publish': {'period': 'all'}}
) }}
with {{ subjects_by_version("('FeatureUsed')") }},
shares as (
    select
        *,
        {{ share('players', 'version_players', 'share_of_players') }},
        {{ share_of_days('', 'share_of_days') }}
    from with_previous
),
previous as (
    select
        *,
        {{ share('previous_players', 'previous_version_players', 'previous_share_of_players') }},
        {{ share_of_days('previous_', 'previous_share_of_days') }}
    from shares
)
select
    service_name, version, version_sort_key, subject as feature,
    occurrences as uses, players, version_players,
    share_of_players, share_of_players_low, share_of_players_high,
    {{ ratio('occurrences', 'players') }} as uses_per_player,
    days, version_days, share_of_days, share_of_days_low, share_of_days_high,
    is_new,
    previous_version, previous_share_of_players, previous_share_of_days,
    {{ difference_of_shares('share_of_days', 'previous_share_of_days', 'share_change') }},
    {{ is_enough('version_players') }} as has_enough_data
from previous
