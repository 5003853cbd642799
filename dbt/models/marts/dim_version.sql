{{ config(
    unique_key=['service_name', 'version'],
    meta={'publish': {'period': 'all'}}
) }}
select
    k.service_name,
    {{ shown_name('b', 'k.version') }} as version,
    max(case when b.name is null then k.version_sort_key end) as version_sort_key,
    min(k.first_seen_at) as first_seen_at,
    max(k.last_seen_at) as last_seen_at,
    sum(k.sightings)::bigint as sightings
from {{ ref('known_versions') }} k
{{ join_bundled('b', 'k', "'version'", 'k.version') }}
group by k.service_name, {{ shown_name('b', 'k.version') }}
