"""Whether the files that an hour holds are still where they were read.

Belongs here: the check, for every kind of file. Does not: noting that a file is gone.
"""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from kpi_platform.engine.books.file_ledger import REFUSED, FileKind
from kpi_platform.schemas.findings import FINDINGS, Finding, findings_text
from kpi_platform.schemas.hours.hour_checks import CheckSpec, HourCheck
from kpi_platform.storage.lake.lake import Lake, hours_of

_MOST_NAMES = 20
_DESCRIPTION = (
    "Every file that the hour holds is there and can be opened, or every line of it is in another "
    "file of the hour, too. Lines of the others stay until `kpi removals accept` lets them go. "
    "None came in place of others to an hour whose lines are gone."
)
# Letting go would do nothing for these: they wait for the others of their hour.
_REFUSED = (
    "kpi query \"select path from file_ledger where state = 'refused'\""
    "  # upload all files of their hours again: an hour is then read anew as a whole"
)
_GONE = "kpi removals list"
# What a line says, wherever it lies.
_SAYS = {
    "raw_telemetry": (
        *("source", "category", "event_timestamp_utc", "service_name", "title_session_id"),
        *("title_transaction_id", "body_message"),
    ),
    "raw_console_feed": ("source", "row"),
    "raw_stream_feed": (
        *("source", "studio", "game", "hour", "average_viewers", "peak_viewers", "channels"),
        "hours_streamed",
    ),
    "quarantined_events": ("source", "reason", "raw_line"),
}


def held_spec(table: str) -> CheckSpec:
    """The check of a raw table of files."""
    return CheckSpec("every_file_is_still_there", table, _DESCRIPTION, is_warning=True)


def check_held(
    lake: Lake, table: str, kind: FileKind, hours: Sequence[datetime]
) -> list[HourCheck]:
    """Evaluate it for these hours; the figures name the files and the sources."""
    files = lake.scan_hours("file_ledger", hours).filter(pl.col("kind") == kind).collect()
    checks = []
    for hour, known in hours_of(files, hours).items():
        held = known.filter(pl.col("state") == "held")
        lost = _without_the_covered(lake, table, hour, held, known) if held.height else held
        refused = known.filter(pl.col("state") == REFUSED)
        named = pl.concat([lost, refused])
        figures: dict[str, int | float | str] = {
            "held": held.height,
            "lost": lost.height,
            "refused": refused.height,
            "sources": ", ".join(named["source"].unique().sort()),
            "files": ", ".join(named["path"].sort().head(_MOST_NAMES)),
            "mend": _mend(lost, refused),
            FINDINGS: findings_text(_findings(table, lost, refused)),
        }
        checks.append(HourCheck(held_spec(table), hour, named.is_empty(), figures))
    return checks


def _findings(table: str, lost: pl.DataFrame, refused: pl.DataFrame) -> list[Finding]:
    """One of each source: what letting files go would mend is the kind's own command."""
    findings = []
    for source in pl.concat([lost["source"], refused["source"]]).unique().sort():
        gone, not_taken = (files.filter(source=source)["path"].sort() for files in (lost, refused))
        said = [
            *([f"Files that the hours hold are gone: {_names(gone)}."] if gone.len() else []),
            *(
                [f"Files in place of others were refused: {_names(not_taken)}."]
                if not_taken.len()
                else []
            ),
        ]
        mends = [*([_REFUSED] if not_taken.len() else []), *([_GONE] if gone.len() else [])]
        # Of files that are gone alone, the command with the hours in it is better.
        mend = "\n".join(mends) if not_taken.len() else ""
        findings.append(Finding("files_held", table, " ".join(said), source=source, mend=mend))
    return findings


def _names(paths: pl.Series) -> str:
    more = paths.len() - _MOST_NAMES
    return ", ".join(paths.head(_MOST_NAMES)) + (f" and {more} more" if more > 0 else "")


def _mend(lost: pl.DataFrame, refused: pl.DataFrame) -> str:
    if refused.height:
        return "upload all files of the hour again: it is then read anew as a whole"
    return "upload them again, or: kpi removals accept" if lost.height else ""


def _without_the_covered(
    lake: Lake, table: str, hour: datetime, held: pl.DataFrame, known: pl.DataFrame
) -> pl.DataFrame:
    """The held files of which some line is in no file that is there: neither renamed, nor split,
    nor joined with others."""
    there = known.filter(pl.col("state") == "read")["path"].unique()
    alone = [pl.Series([], dtype=pl.String)]
    for name in (table, "quarantined_events"):
        lines = lake.scan_hours(name, [hour]).select("file_name", *_SAYS[name])
        held_lines = lines.filter(pl.col("file_name").is_in(held["path"].implode()))
        others = lines.filter(pl.col("file_name").is_in(there.implode()))
        missing = held_lines.join(others, on=_SAYS[name], how="anti", nulls_equal=True)
        alone.append(missing.select("file_name").unique().collect()["file_name"])
    return held.filter(pl.col("path").is_in(pl.concat(alone).implode()))
