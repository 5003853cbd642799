"""The ledger of runs: a row for what each run did at each step.

Belongs here: writing `run_ledger`. Does not: counting (`run_report.py`).
"""

from collections.abc import Sequence
from dataclasses import asdict

import polars as pl

from kpi_platform.engine.run_report import RunReport
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake

TABLE = "run_ledger"


def write_reports(lake: Lake, reports: Sequence[RunReport]) -> None:
    """Add reports, in one commit; none that is there is looked at."""
    if reports:
        lake.append(TABLE, report_rows(reports))


def report_rows(reports: Sequence[RunReport]) -> pl.DataFrame:
    """The reports as rows of `run_ledger`."""
    rows = [asdict(each) | {"p_started_date_utc": each.started_at.date()} for each in reports]
    return pl.DataFrame(rows, schema=TABLES[TABLE].polars_schema, orient="row")
