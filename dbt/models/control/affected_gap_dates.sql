-- Read from what this model notes of its changes:
-- depends_on: {{ ref('player_days') }}
select distinct date - n as date
from (select distinct date from {{ source('lake', 'changed_player_days') }}) played
cross join {{ numbers(31) }} r
