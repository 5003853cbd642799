"""One publishing of everything that changed, under the warehouse's lock.

Belongs here: the order of books, tables and notes. Does not: how each is written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from kpi_platform.engine.platform import Platform
from kpi_platform.published.arrival_wait import longest_wait
from kpi_platform.published.left_tables import LeftTables
from kpi_platform.published.publish import (
    LOADS_STAMP,
    PUBLICATIONS,
    VALUES,
    Publication,
    Published,
    moment_of_entries,
    publication_rows,
    publish,
    restate,
    stamps_of,
)
from kpi_platform.storage.kpi_database.embedded import (
    affected_periods_to_publish,
    changed_ingest_hours,
    clear_published,
    connect,
    first_awaited,
    newest_load,
    pending,
)
from kpi_platform.storage.lake.locks import file_lock, warehouse_lock


@dataclass(frozen=True)
class PublishReport:
    """What was published, how many complete values that restated, the tables that were not as the
    KPI database had left them, and the seconds that the hours waited (`longest_wait`)."""

    done: Sequence[Published]
    restated: int
    others: Sequence[str]
    arrival_seconds: float | None


def publish_changes(parts: Platform, publications: Sequence[Publication]) -> PublishReport:
    """Publish what the last build changed, and whole what is not as it was last published.

    `publications` has that of `kpi_values`. Raises WarehouseError or LakeError.
    """
    path, lake = parts.settings.warehouse_file, parts.lake
    values = next(each for each in publications if each.table == VALUES)
    with file_lock(warehouse_lock(path)), connect(path) as con:
        changed, marts = affected_periods_to_publish(con), parts.marts(con)
        left = LeftTables.of(con, lake, [each.table for each in publications])
        newest, told = newest_load(con), lake.published_stamp(VALUES, LOADS_STAMP) or 0
        # Hours of a load that a killed run published have caused what it entered, and no more; a
        # database made anew counts its loads anew.
        hours = changed_ingest_hours(con, told if newest >= told else 0)
        now = moment_of_entries(lake, VALUES, datetime.now(UTC))
        # First, as afterwards nobody knows what was published before.
        restated = restate(lake, marts, values, changed, hours, now, left.others)
        stamps = stamps_of(now, max(newest, told if not newest else 0))
        awaited = first_awaited(con)
        done = publish(lake, marts, publications, changed, awaited, stamps, left.others)
        at = datetime.now(UTC)
        if done:
            lake.add_published(PUBLICATIONS, publication_rows(done, at))
        left.record(con, [item.table for item in done])
        if not pending(con):
            clear_published(con)
    # Whatever becomes of a metric, what is published is published.
    waited = longest_wait(lake, hours["ingest_hour"], at) if done else None
    return PublishReport(done, restated, left.others, waited)
