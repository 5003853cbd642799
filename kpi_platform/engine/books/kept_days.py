"""Days whose events may be gone: what was made of them is kept and never made again.

Belongs here: reading and writing these books. Does not: which days they are (`retention/`), and
what of them is kept (`kept_contributions`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import polars as pl

from kpi_platform.engine.books.hour_fingerprints import read_consumed
from kpi_platform.engine.books.noted_hours import hours_noted, note_hours
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake

KEPT = "kept_days"
EMPTIED = "emptied_hours"
_CLOSING, _IS_KEPT = "closing", "kept"


@dataclass(frozen=True)
class Closed:
    """All days up to `through` are kept; `before`: ingest hours before it take no correction, and
    no version of ours and no setting has them run again; `silence`: what ended their sessions."""

    through: date
    before: datetime
    silence: timedelta


def closed_days(lake: Lake) -> Closed | None:
    """The newest that is noted, whether or not what it keeps is all written; None: no day is."""
    return _newest(lake.scan(KEPT))


def kept_days(lake: Lake) -> Closed | None:
    """The newest of which everything is kept, so that events may be gone."""
    return _newest(lake.scan(KEPT).filter(pl.col("state") == _IS_KEPT))


def _newest(rows: pl.LazyFrame) -> Closed | None:
    newest = rows.sort("kept_through").tail(1).collect()
    if newest.is_empty():
        return None
    silence = timedelta(seconds=newest["silence_seconds"].item())
    return Closed(newest["kept_through"].item(), newest["closed_before"].item(), silence)


def close_days(lake: Lake, wanted: Closed, at: datetime) -> None:
    """Let nothing change any more of what these days are made of, before it is kept."""
    _note(lake, wanted, _CLOSING, at)


def open_days(lake: Lake) -> None:
    """Take back what was closed and not kept."""
    lake.delete(KEPT, f"state = '{_CLOSING}'")


def note_kept(lake: Lake, wanted: Closed, at: datetime) -> None:
    """Everything that is made of these days' events is kept."""
    _note(lake, wanted, _IS_KEPT, at)


def _note(lake: Lake, wanted: Closed, state: str, at: datetime) -> None:
    rows = pl.DataFrame(
        [(wanted.through, wanted.before, int(wanted.silence.total_seconds()), state, at)],
        schema=TABLES[KEPT].polars_schema,
        orient="row",
    )
    lake.replace(KEPT, rows, f"kept_through = '{wanted.through}' OR state = '{_CLOSING}'")


def unless_closed(lake: Lake, table: str, inputs: Mapping[datetime, str]) -> Mapping[datetime, str]:
    """Inputs of hours, where those of closed hours are what the table consumed of them."""
    found = closed_days(lake)
    if found is None:
        return inputs
    hours = [hour for hour in inputs if hour < found.before]
    return {**inputs, **{h: item.input for h, item in read_consumed(lake, table, hours).items()}}


def emptied_hours(lake: Lake, hours: Iterable[datetime] | None = None) -> set[datetime]:
    """Those of these hours, or of all, whose telemetry events are gone."""
    return hours_noted(lake, EMPTIED, hours)


def note_emptied(lake: Lake, rows: Mapping[datetime, int]) -> None:
    """Note, before they go, that hours are without their events; per hour how many."""
    note_hours(lake, EMPTIED, rows)
