select source, studio, game, since, until, kind from {{ source('lake', 'sources') }}
union all
-- A folder that no source names: data never waits for configuration.
select distinct source, 'unassigned', source, null::timestamp, null::timestamp, 'telemetry'
from {{ ref('stg_source_hours') }}
where source <> '' and source not in (select source from {{ source('lake', 'sources') }})
