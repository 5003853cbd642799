"""What must be true of an hour after it was read: rows as the contract says, every source read.

Belongs here: the checks of the raw tables. Does not: when they run.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import polars as pl

from kpi_platform.arrivals.drift.drift_checks import (
    WAREHOUSES_ARE_AS_MAPPED,
    warehouses_are_as_mapped,
)
from kpi_platform.arrivals.drift.drift_step import StudioDrift
from kpi_platform.arrivals.feeds.stream_stats import Statements, contradictions
from kpi_platform.arrivals.held_checks import check_held, held_spec
from kpi_platform.arrivals.studios.studio_checks import STUDIO_TABLE_CHECKS, check_studio_tables
from kpi_platform.arrivals.studios.studio_notices import StudioNotices
from kpi_platform.engine.books.hour_ledger import read_ledger
from kpi_platform.engine.contract_checks import check_contract
from kpi_platform.schemas.findings import FINDINGS, Finding, findings_text
from kpi_platform.schemas.hours.hour_checks import CheckSpec, HourCheck, contract_spec
from kpi_platform.schemas.sources_file.sources import Kind
from kpi_platform.storage.lake.lake import Lake, hours_of

EVERY_STUDIO = CheckSpec(
    "every_studio_was_captured",
    "raw_studio_events",
    "Every source in a studio's warehouse could be read; the others go on without one that could "
    "not.",
    is_warning=True,
)
EVERY_CONSOLE = CheckSpec(
    "every_console_feed_was_read",
    "raw_console_feed",
    "Every console feed could be read; the others go on without one that could not.",
    is_warning=True,
)
EVERY_STREAM = CheckSpec(
    "every_stream_feed_was_read",
    "raw_stream_feed",
    "Every stream feed could be read; the others go on without one that could not.",
    is_warning=True,
)
STREAM_AGREES = CheckSpec(
    "stream_rows_do_not_contradict",
    "raw_stream_feed",
    "Several rows of one source, game and hour say the same, or the feed says what they are "
    "(`rows_are: parts` or `samples`); else they count for nothing.",
    is_warning=True,
)
RAW_CHECKS = [contract_spec("raw_telemetry"), held_spec("raw_telemetry")]
STUDIO_CHECKS = [contract_spec("raw_studio_events"), EVERY_STUDIO, WAREHOUSES_ARE_AS_MAPPED]
STUDIO_CHECKS += STUDIO_TABLE_CHECKS
CONSOLE_CHECKS = [
    contract_spec("raw_console_feed"),
    EVERY_CONSOLE,
    held_spec("raw_console_feed"),
]
STREAM_CHECKS = [
    contract_spec("raw_stream_feed"),
    EVERY_STREAM,
    STREAM_AGREES,
    held_spec("raw_stream_feed"),
]


def check_raw(lake: Lake, hours: Sequence[datetime]) -> list[HourCheck]:
    """Evaluate the checks of `raw_telemetry` for these hours, from the table as it is now."""
    return [
        *check_contract(lake, "raw_telemetry", hours),
        *check_held(lake, "raw_telemetry", "telemetry", hours),
    ]


def check_studios(
    lake: Lake,
    hours: Sequence[datetime],
    drifts: Iterable[StudioDrift] = (),
    notices: StudioNotices | None = None,
) -> list[HourCheck]:
    """Evaluate the checks of `raw_studio_events` for these hours; `drifts` and `notices` as the run
    saw them."""
    seen = list(drifts)
    return [
        *check_contract(lake, "raw_studio_events", hours),
        *check_reads(lake, hours, seen),
        *check_studio_tables(hours, seen, notices or StudioNotices()),
    ]


def check_reads(
    lake: Lake, hours: Sequence[datetime], drifts: Iterable[StudioDrift]
) -> list[HourCheck]:
    """Evaluate the checks of `raw_studio_events` that say whether studios were read: all that
    changes for an hour which a later run reads."""
    if not hours:
        return []
    seen = list(drifts)
    # Why these were not read is told by the check of their warehouse.
    stopped = {source for drift in seen for source in drift.stopped}
    ledger = _ledger(lake, hours, EVERY_STUDIO)
    unread = {hour: rows.filter(_IS_UNREAD)["source"].to_list() for hour, rows in ledger.items()}
    return [
        *_read(ledger, EVERY_STUDIO, stopped),
        *(warehouses_are_as_mapped(hour, seen, unread[hour]) for hour in hours),
    ]


def check_console(lake: Lake, hours: Sequence[datetime]) -> list[HourCheck]:
    """Evaluate the checks of `raw_console_feed` for these hours."""
    return [
        *check_contract(lake, "raw_console_feed", hours),
        *_read(_ledger(lake, hours, EVERY_CONSOLE), EVERY_CONSOLE),
        *check_held(lake, "raw_console_feed", "console", hours),
    ]


def check_stream(
    lake: Lake, hours: Sequence[datetime], statements: Statements | None = None
) -> list[HourCheck]:
    """Evaluate the checks of `raw_stream_feed` for these hours; `statements` as the sources say."""
    rows = hours_of(lake.read_hours("raw_stream_feed", hours), hours)
    return [
        *check_contract(lake, "raw_stream_feed", hours),
        *_read(_ledger(lake, hours, EVERY_STREAM), EVERY_STREAM),
        *check_held(lake, "raw_stream_feed", "stream", hours),
        *(_agrees(hour, contradictions(rows[hour], statements)) for hour in hours),
    ]


def _agrees(hour: datetime, contradicting: pl.DataFrame) -> HourCheck:
    named = ", ".join(
        f"{row['source']} of {row['hour']:%Y-%m-%d %H:%M}" for row in contradicting.to_dicts()[:10]
    )
    figures: dict[str, int | float | str]
    figures = {"statements": contradicting.height, "of": named}
    return HourCheck(STREAM_AGREES, hour, contradicting.is_empty(), figures)


_KINDS: dict[CheckSpec, Kind] = {
    EVERY_STUDIO: "warehouse",
    EVERY_CONSOLE: "console",
    EVERY_STREAM: "stream",
}


_IS_UNREAD = pl.col("source_error").is_not_null()


def _ledger(
    lake: Lake, hours: Sequence[datetime], spec: CheckSpec
) -> Mapping[datetime, pl.DataFrame]:
    """The ledger's rows of the sources that a check is about, hour by hour."""
    return hours_of(read_ledger(lake, hours, _KINDS[spec]), hours)


def _read(
    ledger: Mapping[datetime, pl.DataFrame], spec: CheckSpec, told: Collection[str] = ()
) -> list[HourCheck]:
    """Whether each source has been read in each hour, and if not, why; of those that another check
    has `told`, there is no finding."""
    checks = []
    for hour, rows in ledger.items():
        failed = rows.filter(_IS_UNREAD).sort("source")
        errors = (f"{row['source']}: {row['source_error']}" for row in failed.to_dicts())
        figures: dict[str, int | float | str]
        figures = {"sources": rows.height, "failed": failed.height, "errors": "; ".join(errors)}
        if failed.height:
            findings = [
                Finding(
                    "check_failed",
                    spec.table,
                    f"The source could not be read: {row['source_error']}",
                    source=str(row["source"]),
                )
                for row in failed.to_dicts()
                if row["source"] not in told
            ]
            figures[FINDINGS] = findings_text(findings)
        checks.append(HourCheck(spec, hour, failed.is_empty(), figures))
    return checks
