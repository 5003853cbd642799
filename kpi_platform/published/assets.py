"""The assets of room 5: the marts as Delta tables that consumers read, and the books about them.

Belongs here: what Dagster runs. Does not: which rows are written, which `publish.py` knows.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg
import polars as pl

from kpi_platform.engine.platform import Platform
from kpi_platform.engine.run_report import Measured
from kpi_platform.orchestration.asset_specs import OWNERS
from kpi_platform.orchestration.recording import (
    end_red_if_hours_failed,
    metadata_of,
    naming_the_setting,
    uri_of,
)
from kpi_platform.orchestration.resources import PlatformResource
from kpi_platform.orchestration.run_reports import tell_reports
from kpi_platform.published.publish import (
    LOADS_STAMP,
    PUBLICATIONS,
    PUBLICATIONS_SCHEMA,
    VALUES,
    Published,
    marts_to_publish,
    moment_of_entries,
    publication_rows,
    publish,
    restate,
    stamps_of,
)
from kpi_platform.published.restatements import KPI_RESTATEMENTS, RESTATEMENTS_SCHEMA
from kpi_platform.published.value_books import KPI_VALUE_BOOKS, VALUE_BOOKS_SCHEMA
from kpi_platform.schemas.column_words import words_of_column, words_of_type
from kpi_platform.storage.kpi_database.dbt_manifest import read_manifest
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

_MARTS = marts_to_publish(read_manifest())
_VALUES = next(mart for mart in _MARTS if mart.table == VALUES)


def _books(name: str, schema: pl.Schema, description: str) -> dg.AssetSpec:
    columns = [
        dg.TableColumn(column, words_of_type(dtype), words_of_column(name, column))
        for column, dtype in schema.items()
    ]
    return dg.AssetSpec(
        name,
        deps=[mart.table for mart in _MARTS],
        description=description,
        group_name="published",
        owners=OWNERS,
        kinds={"deltalake"},
        metadata={
            "dagster/column_schema": dg.TableSchema(columns),
            "dagster/table_name": f"published.{name}",
        },
    )


@dg.multi_asset(
    name=PUBLICATIONS,
    specs=[
        _books(
            PUBLICATIONS,
            PUBLICATIONS_SCHEMA,
            "Every published version of every table, and through when it is complete.",
        ),
        _books(
            KPI_RESTATEMENTS,
            RESTATEMENTS_SCHEMA,
            "Every value that changed, appeared or went after it had been published as complete, "
            "why, and which ingest hours changed it.",
        ),
        _books(
            KPI_VALUE_BOOKS,
            VALUE_BOOKS_SCHEMA,
            "Since when each value is complete, what it was and under which definition: an entry "
            "for each change of these.",
        ),
    ],
    backfill_policy=dg.BackfillPolicy.single_run(),
    can_subset=True,
)
def publications(
    context: dg.AssetExecutionContext, platform: PlatformResource
) -> Iterator[dg.MaterializeResult[None]]:
    """Copy the changed periods of every mart to `published/<table>`, and say what is complete."""
    measured = Measured(context.run_id, PUBLICATIONS)
    done, restated = _publish(platform.platform)
    report = measured.report(rows=sum(item.rows for item in done))
    tell_reports(context, platform.platform.lake, [report])
    shown = metadata_of(report)
    figures: dict[str, int | float | str] = {
        name: shown[name] for name in ("seconds", "peak_memory_mib")
    }
    context.log.info(f"publications: {len(done)} of {len(_MARTS)} tables had changes")
    tables = ", ".join(item.table for item in done) or "none: nothing changed"
    metadata: dict[str, dict[str, int | float | str]] = {
        PUBLICATIONS: {"tables": tables, "rows": report.rows},
        KPI_RESTATEMENTS: {"rows": restated},
        KPI_VALUE_BOOKS: {"tables": tables},
    }
    for key in sorted(context.selected_asset_keys):
        uri = uri_of(platform.platform.lake, f"published/{key.path[-1]}")
        own = metadata[key.path[-1]] | {"dagster/uri": uri}
        yield dg.MaterializeResult(asset_key=key, metadata=own | figures)
    end_red_if_hours_failed(context, platform.platform.lake)


def _publish(parts: Platform) -> tuple[list[Published], int]:
    """What was published, and how many complete values that restated."""
    path = parts.settings.warehouse_file
    with naming_the_setting(), file_lock(warehouse_lock(path)), connect(path) as con:
        changed, marts = affected_periods_to_publish(con), parts.marts(con)
        newest, told = newest_load(con), parts.lake.published_stamp(VALUES, LOADS_STAMP) or 0
        # Hours of a load that a killed run published have caused what it entered, and no more; a
        # database made anew counts its loads anew.
        hours = changed_ingest_hours(con, told if newest >= told else 0)
        now = moment_of_entries(parts.lake, VALUES, datetime.now(UTC))
        # First, as afterwards nobody knows what was published before.
        restated = restate(parts.lake, marts, _VALUES, changed, hours, now)
        stamps = stamps_of(now, max(newest, told if not newest else 0))
        done = publish(parts.lake, marts, _MARTS, changed, first_awaited(con), stamps)
        if done:
            parts.lake.add_published(PUBLICATIONS, publication_rows(done, datetime.now(UTC)))
        if not pending(con):
            clear_published(con)
    return done, restated
