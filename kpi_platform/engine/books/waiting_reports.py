"""Reports of a run's steps, which wait for its end in a file of the home, to be told in one commit.

Belongs here: keeping them so that a killed run's are told all the same, and by whom. Does not:
writing the table (run_ledger.py), nor when a run is over.
"""

import json
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path

import polars as pl
from filelock import FileLock, Timeout

from kpi_platform.engine.books.run_ledger import TABLE, report_rows, write_reports
from kpi_platform.engine.run_report import RunReport
from kpi_platform.storage.lake.lake import Lake

_FOLDER = "waiting_reports"
# What holds lines that are no reports of this release is left beside, under this ending.
_UNREADABLE = ".unreadable"
_FIELDS = {each.name for each in fields(RunReport)}
_TIMES = ("started_at", "first_hour", "last_hour")
# What this process has written; the system frees a lock when the process ends, however it ends.
_own: dict[Path, FileLock] = {}


def keep_reports(home: Path, reports: Sequence[RunReport]) -> None:
    """Write reports down below `home` until `tell_kept`, of this process or of one after it.

    Raises OSError if nothing can be written there.
    """
    for report in reports:
        place = home / _FOLDER / f"{report.run_id}-{os.getpid()}.jsonl"
        if place not in _own:
            place.parent.mkdir(parents=True, exist_ok=True)
            lock = _lock_of(place)
            lock.acquire()
            _own[place] = lock
        with place.open("a", encoding="utf-8") as file:
            # A line before it may have been cut by a full disk.
            file.write("\n" + json.dumps(asdict(report), default=datetime.isoformat))


def tell_kept(lake: Lake, home: Path) -> None:
    """Add to `run_ledger`, in one commit, what this process kept and what others that were killed
    left; nothing is looked for if this process kept nothing.

    What cannot be written stays, for the next run to tell; so does what others left and this one
    may not read.
    """
    if not _own:
        return
    with ExitStack() as held:
        told: dict[Path, bool] = {}
        reports: list[RunReport] = []
        for place in sorted((home / _FOLDER).glob("*.jsonl")):
            is_own = place in _own
            try:
                lock = _own.pop(place, None) or _lock_of(place)
                if not is_own:
                    lock.acquire(timeout=0)
                held.callback(lock.release)
                found, is_whole = _read(place)
            except (Timeout, OSError):
                # Of a run that goes on, that was told meanwhile, or of another user.
                continue
            reports += found if is_own else _untold(lake, found)
            told[place] = is_whole
        write_reports(lake, reports)
        for place, is_whole in told.items():
            if is_whole:
                place.unlink()
            else:
                place.rename(place.with_suffix(_UNREADABLE))
            Path(_lock_of(place).lock_file).unlink(missing_ok=True)


def _untold(lake: Lake, reports: Sequence[RunReport]) -> list[RunReport]:
    """Without those that were told by a process that was killed before it forgot them."""
    days = {report.started_at.date() for report in reports}
    known = lake.scan(TABLE).filter(pl.col("p_started_date_utc").is_in(days))
    rows = known.select("run_id", "asset", "started_at").collect().rows()
    return [each for each in reports if (each.run_id, each.asset, each.started_at) not in rows]


def _read(place: Path) -> tuple[list[RunReport], bool]:
    """The reports of a file, and whether every line is one; the last may be cut by a kill."""
    lines = [each for each in place.read_bytes().split(b"\n") if each]
    found = [_report(line) for line in lines]
    reports = [each for each in found if each is not None]
    return reports, None not in found[:-1] and (bool(reports) or not lines)


def _report(line: bytes) -> RunReport | None:
    try:
        told = {name: value for name, value in json.loads(line).items() if name in _FIELDS}
        times = {name: told[name] and datetime.fromisoformat(told[name]) for name in _TIMES}
        report = RunReport(**told | times)
        report_rows([report])
    except (ValueError, TypeError, KeyError, AttributeError, pl.exceptions.PolarsError):
        return None
    return report


def _lock_of(place: Path) -> FileLock:
    return FileLock(place.with_suffix(".lock"))
