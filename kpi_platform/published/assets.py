"""The asset of room 5: `publications`, the marts as Delta tables that consumers read.

Belongs here: what Dagster runs. Does not: which rows are written, which `publish.py` knows.
"""

import time
from datetime import UTC, datetime

import dagster as dg

from kpi_platform.asset_specs import OWNERS
from kpi_platform.published.publish import (
    PUBLICATIONS,
    PUBLICATIONS_SCHEMA,
    marts_to_publish,
    publication_rows,
    publish,
)
from kpi_platform.recording import (
    end_red_if_hours_failed,
    naming_the_setting,
    peak_memory_mib,
)
from kpi_platform.resources import PlatformResource
from kpi_platform.storage.dbt_manifest import read_manifest
from kpi_platform.storage.locks import file_lock, warehouse_lock
from kpi_platform.storage.marts import Marts
from kpi_platform.storage.warehouse import (
    affected_periods_to_publish,
    clear_published,
    connect,
    pending,
)

_MARTS = marts_to_publish(read_manifest())


@dg.asset(
    name=PUBLICATIONS,
    deps=[mart.table for mart in _MARTS],
    description="Every published version of every table, and through when it is complete.",
    group_name="published",
    owners=OWNERS,
    kinds={"deltalake"},
    metadata={
        "dagster/column_schema": dg.TableSchema(
            [dg.TableColumn(name, str(dtype)) for name, dtype in PUBLICATIONS_SCHEMA.items()]
        )
    },
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def publications(
    context: dg.AssetExecutionContext, platform: PlatformResource
) -> dg.MaterializeResult[None]:
    """Copy the changed periods of every mart to `published/<table>`, and say what is complete."""
    started = time.monotonic()
    parts = platform.platform
    path = parts.settings.warehouse_file
    with naming_the_setting(), file_lock(warehouse_lock(path)), connect(path) as con:
        changed = affected_periods_to_publish(con)
        done = publish(parts.lake, Marts(con), _MARTS, changed)
        if done:
            parts.lake.add_published(PUBLICATIONS, publication_rows(done, datetime.now(UTC)))
        if not pending(con):
            clear_published(con)
    seconds = time.monotonic() - started
    context.log.info(f"publications: {len(done)} of {len(_MARTS)} tables had changes")
    end_red_if_hours_failed(context)
    return dg.MaterializeResult(
        metadata={
            "tables": ", ".join(item.table for item in done) or "none: nothing changed",
            "rows": sum(item.rows for item in done),
            "seconds": round(seconds, 3),
            "peak_memory_mib": peak_memory_mib(),
        }
    )
