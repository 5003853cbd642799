"""The assets of room 5: the marts as Delta tables that consumers read, and the books about them.

Belongs here: what Dagster runs. Does not: which rows are written, which `publish.py` knows.
"""

from collections.abc import Iterator

import dagster as dg
import polars as pl

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
    PUBLICATIONS,
    PUBLICATIONS_SCHEMA,
    marts_to_publish,
)
from kpi_platform.published.publish_changes import publish_changes
from kpi_platform.published.restatements import KPI_RESTATEMENTS, RESTATEMENTS_SCHEMA
from kpi_platform.published.value_books import KPI_VALUE_BOOKS, VALUE_BOOKS_SCHEMA
from kpi_platform.schemas.column_words import words_of_column, words_of_type
from kpi_platform.storage.kpi_database.dbt_manifest import read_manifest
from kpi_platform.storage.kpi_database.kept_project import manifest_in_force

# Of the step's report, what the metadata of the assets beside `publications` show.
_SHOWN = ("seconds", "arrival_seconds", "peak_memory_mib")
_MARTS = marts_to_publish(read_manifest())


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
    with naming_the_setting():
        marts = marts_to_publish(manifest_in_force())
        report = publish_changes(platform.platform, marts)
    done, others = report.done, report.others
    rows = sum(item.rows for item in done)
    run = measured.report(rows=rows, arrival_seconds=report.arrival_seconds)
    tell_reports(context, [run])
    shown = metadata_of(run)
    figures: dict[str, int | float | str] = {name: shown[name] for name in _SHOWN if name in shown}
    if others:
        context.log.warning(
            f"publications: {len(others)} tables are not as they were last published from this KPI"
            f" database, as after a restore; published whole: {', '.join(others)}"
        )
    context.log.info(f"publications: {len(done)} of {len(marts)} tables had changes")
    tables = ", ".join(item.table for item in done) or "none: nothing changed"
    metadata: dict[str, dict[str, int | float | str]] = {
        PUBLICATIONS: {"tables": tables, **shown},
        KPI_RESTATEMENTS: {"rows": report.restated},
        KPI_VALUE_BOOKS: {"tables": tables},
    }
    for key in sorted(context.selected_asset_keys):
        uri = uri_of(platform.platform.lake, f"published/{key.path[-1]}")
        own = metadata[key.path[-1]] | {"dagster/uri": uri}
        yield dg.MaterializeResult(asset_key=key, metadata=own | figures)
    end_red_if_hours_failed(context, platform.platform.lake)
