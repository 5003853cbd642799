"""What must be true of an hour after cleaning: accounted lines, contracts, whole files.

Belongs here: the checks of `cleaned_events` and `sessions`. Does not: when they run.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import polars as pl

from kpi_platform.engine.books.kept_days import emptied_hours
from kpi_platform.engine.books.seals import dropped_hours
from kpi_platform.engine.contract_checks import check_contract
from kpi_platform.engine.few_names import few_names, known_platforms
from kpi_platform.schemas.findings import FINDINGS, Finding, findings_text
from kpi_platform.schemas.hours.hour_checks import (
    CheckSpec,
    HourCheck,
    contract_checks,
    contract_spec,
)
from kpi_platform.schemas.sources_file.platform_names import PlatformNames
from kpi_platform.schemas.tables import INGEST_HOUR
from kpi_platform.storage.lake.lake import Lake, hours_of

ACCOUNTED = CheckSpec(
    "every_line_is_accounted_for",
    "cleaned_events",
    "lines = rows + quarantined + duplicates + left out + suppressed + sealed, per file and "
    "source, as counted in the tables; of what retention took, as the ledger has it.",
)
QUARANTINE_SHARE = CheckSpec(
    "quarantine_share_is_low",
    "cleaned_events",
    "The share of lines in quarantine is at most the threshold.",
    is_warning=True,
)
WHOLE_FILES = CheckSpec(
    "every_file_is_whole",
    "cleaned_events",
    "No file of the hour was cut short or could not be opened.",
    is_warning=True,
)
FEW_SERVICES = CheckSpec(
    "clients_name_few_services_and_events",
    "cleaned_events",
    "No source's lines of the hour name more services or events than there are: KPI tables have "
    "rows of each game's largest services and of `other`.",
    is_warning=True,
)
EVENT_CHECKS = [
    *(contract_spec(t) for t in ("cleaned_events", "quarantined_events", "hour_ledger")),
    ACCOUNTED,
    QUARANTINE_SHARE,
    WHOLE_FILES,
    FEW_SERVICES,
]
_MOST_NAMES = 20
_FATES = ("rows", "quarantined", "duplicates", "left_out", "suppressed", "sealed")
FEW_PLATFORMS = CheckSpec(
    "clients_name_few_platforms_and_devices",
    "sessions",
    "No source's sessions of the hour name more platforms or devices than there are: KPI tables "
    "have rows of the known platforms, of the largest devices and of `other`.",
    is_warning=True,
)
KNOWN_PLATFORMS = CheckSpec(
    "platforms_are_known",
    "sessions",
    "Every platform that the hour's sessions name is known: KPI tables count what is not as "
    "`other`, until `platforms` in the sources file names it.",
    is_warning=True,
)
SESSION_CHECKS = [contract_spec("sessions"), FEW_PLATFORMS, KNOWN_PLATFORMS]


def check_events(lake: Lake, hours: Sequence[datetime], quarantine_limit: float) -> list[HourCheck]:
    """Evaluate the checks of `cleaned_events` for these hours, from the tables as they are now."""
    ledger = hours_of(lake.read_hours("hour_ledger", hours), hours)
    events = _stored(lake, "cleaned_events", hours)
    # Rows of stream platforms are figures, no events.
    figures = _stored(lake, "raw_stream_feed", hours)
    quarantined = _stored(lake, "quarantined_events", hours)
    files = hours_of(lake.read_hours("file_ledger", hours), hours)
    named = _named(lake, hours)
    dropped, emptied = dropped_hours(lake, hours), emptied_hours(lake, hours)
    checks = [
        *check_contract(lake, "cleaned_events", hours),
        *check_contract(lake, "quarantined_events", hours),
        *check_contract(lake, "hour_ledger", hours),
    ]
    for hour in hours:
        checks += [
            _accounted(
                hour,
                ledger[hour],
                pl.concat([events[hour], figures[hour]]),
                quarantined[hour],
                files[hour],
                is_dropped=hour in dropped,
                is_emptied=hour in emptied,
            ),
            _quarantine_share(hour, ledger[hour], quarantine_limit),
            _whole_files(hour, ledger[hour], files[hour]),
            few_names(FEW_SERVICES, hour, named[hour], ("service_name", "event_name")),
        ]
    return checks


def check_sessions(
    lake: Lake, hours: Sequence[datetime], platforms: PlatformNames | None = None
) -> list[HourCheck]:
    """Evaluate the contract of the sessions that started in these hours, and what they name;
    `platforms` are those that the KPI tables know, by default those that are known anyway."""
    known = platforms or PlatformNames()
    days = sorted({hour.date() for hour in hours})
    rows = lake.scan("sessions").filter(pl.col("p_started_date_utc").is_in(days)).collect()
    hour_started = pl.col("started_at").dt.truncate("1h")
    parts = {hour: rows.filter(hour_started == hour) for hour in hours}
    limited = ("platform", "device")
    named = [few_names(FEW_PLATFORMS, hour, part, limited) for hour, part in parts.items()]
    listed = [known_platforms(KNOWN_PLATFORMS, h, part, known) for h, part in parts.items()]
    return [*contract_checks("sessions", parts), *named, *listed]


def _accounted(
    hour: datetime,
    ledger: pl.DataFrame,
    events: pl.DataFrame,
    quarantined: pl.DataFrame,
    files: pl.DataFrame,
    *,
    is_dropped: bool,
    is_emptied: bool,
) -> HourCheck:
    """Hold the ledger's sums against the rows that the tables really have, source by source, and
    the sums of each file against each other.

    `is_dropped`: the lines of telemetry are gone, quarantined ones with them; `is_emptied`: its
    events, too.
    """
    is_telemetry = pl.col("kind").fill_null("telemetry").eq("telemetry")
    is_gone, are_gone = is_telemetry & pl.lit(is_dropped), is_telemetry & pl.lit(is_emptied)
    stored = (
        events.select("source", stored_rows="stored"),
        quarantined.select("source", stored_quarantined="stored"),
    )
    rows = ledger.select(
        "source", "lines", *_FATES, is_gone=is_gone.cast(pl.Int8), are_gone=are_gone.cast(pl.Int8)
    )
    for counted in stored:
        rows = rows.join(counted, on="source", how="full", coalesce=True)
    zero = pl.exclude("source", "rows").fill_null(0)
    wrong = rows.with_columns(zero).filter(
        pl.col("rows").is_null()
        | ((pl.col("rows") != pl.col("stored_rows")) & (pl.col("are_gone") == 0))
        | ((pl.col("quarantined") != pl.col("stored_quarantined")) & (pl.col("is_gone") == 0))
        | (pl.col("lines") != pl.sum_horizontal(_FATES))
    )
    sums = pl.sum_horizontal(_FATES)
    odd = files.filter(pl.col("rows").is_null() | (pl.col("lines") != sums)).sort("path")
    figures: Mapping[str, int | str] = {
        "lines": total(ledger, "lines"),
        "sources_not_accounted_for": ", ".join(sorted(wrong["source"])),
        "files_not_accounted_for": ", ".join(odd["path"].head(_MOST_NAMES)),
    }
    return HourCheck(ACCOUNTED, hour, wrong.is_empty() and odd.is_empty(), figures)


def total(rows: pl.DataFrame, column: str) -> int:
    """The sum of a column of counts."""
    return int(rows[column].sum())


def _stored(lake: Lake, table: str, hours: Sequence[datetime]) -> dict[datetime, pl.DataFrame]:
    """Per hour: the rows (`stored`) that the table has of each `source`."""
    rows = lake.scan_hours(table, hours).group_by(*INGEST_HOUR, "source")
    counted = rows.agg(pl.len().cast(pl.Int64).alias("stored")).collect()
    return hours_of(counted, hours)


def _named(lake: Lake, hours: Sequence[datetime]) -> dict[datetime, pl.DataFrame]:
    """Per hour: each service and event name of a `source` once."""
    rows = lake.scan_hours("cleaned_events", hours)
    names = rows.select(*INGEST_HOUR, "source", "service_name", "event_name").unique()
    return hours_of(names.collect(), hours)


def _quarantine_share(hour: datetime, ledger: pl.DataFrame, limit: float) -> HourCheck:
    lines, quarantined = total(ledger, "lines"), total(ledger, "quarantined")
    share = quarantined / lines if lines else 0.0
    figures = {"lines": lines, "quarantined": quarantined, "share": share, "limit": limit}
    return HourCheck(QUARANTINE_SHARE, hour, share <= limit, figures)


def _whole_files(hour: datetime, ledger: pl.DataFrame, files: pl.DataFrame) -> HourCheck:
    truncated, unreadable = total(ledger, "truncated_files"), total(ledger, "unreadable_files")
    of = files.filter(pl.col("is_truncated") | (pl.col("state") == "unreadable"))
    broken = ledger.filter(pl.col("truncated_files") + pl.col("unreadable_files") > 0)["source"]
    findings = [_broken(source, of.filter(source=source)["path"]) for source in broken.sort()]
    return HourCheck(
        WHOLE_FILES,
        hour,
        truncated + unreadable == 0,
        {
            "truncated_files": truncated,
            "unreadable_files": unreadable,
            "files": ", ".join(of["path"].sort().head(_MOST_NAMES)),
            FINDINGS: findings_text(findings),
        },
    )


def _broken(source: str, paths: pl.Series) -> Finding:
    named = ", ".join(paths.sort().head(_MOST_NAMES)) or "a file that is gone meanwhile"
    return Finding(
        "check_failed",
        "cleaned_events",
        f"Files were cut short, or cannot be opened: {named}. What could be read of them counts.",
        source=source,
        # Running the hour again would read the same file.
        mend=(
            "kpi query \"select path from file_ledger where is_truncated or state = 'unreadable'\""
            "  # upload these again: the hour heals by itself"
        ),
    )
