{{ config(
    unique_key=['service_name', 'version'],
    meta={'publish': {'period': 'all'}}
) }}
select
    {{ shown_service('s', 'k') }} as service_name,
    {{ shown_name('b', 'k.version', 's') }} as version,
    max(case when s.service_name is null and b.name is null then k.version_sort_key end) as version_sort_key,
    min(k.first_seen_at) as first_seen_at,
    max(k.last_seen_at) as last_seen_at,
    sum(k.sightings)::bigint as sightings
from {{ ref('known_versions') }} k
{{ join_bundled('b', 'k', "'version'", 'k.version') }}
{{ join_bundled_services('s', 'k') }}
group by {{ shown_service('s', 'k') }}, {{ shown_name('b', 'k.version', 's') }}
