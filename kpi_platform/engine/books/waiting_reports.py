"""Reports of a run's steps, which wait for its end in a file of the home, to be told in one commit.

Belongs here: keeping them so that a killed run's are told all the same, and by whom. Does not:
writing the table (run_ledger.py), nor when a run is over.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import polars as pl
from filelock import FileLock, Timeout

from kpi_platform.engine.books.run_ledger import TABLE, write_reports
from kpi_platform.engine.run_report import RunReport
from kpi_platform.storage.lake.lake import Lake

_FOLDER = "waiting_reports"
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
            _own[place] = _lock_of(place)
            _own[place].acquire()
        with place.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(report), default=datetime.isoformat) + "\n")


def tell_kept(lake: Lake, home: Path) -> None:
    """Add to `run_ledger`, in one commit, what this process kept and what others that were killed
    left; nothing is looked for if this process kept nothing.

    What cannot be written stays, for the next run to tell.
    """
    if not _own:
        return
    with ExitStack() as held:
        told: list[Path] = []
        reports: list[RunReport] = []
        for place in sorted((home / _FOLDER).glob("*.jsonl")):
            is_own = place in _own
            lock = _own.pop(place, None) or _lock_of(place)
            if not is_own:
                try:
                    lock.acquire(timeout=0)
                except Timeout:
                    # Of a run that goes on.
                    continue
            held.callback(lock.release)
            found = list(_read(place))
            reports += found if is_own else _untold(lake, found)
            told.append(place)
        write_reports(lake, reports)
        for place in told:
            place.unlink()
            Path(_lock_of(place).lock_file).unlink(missing_ok=True)


def _untold(lake: Lake, reports: Sequence[RunReport]) -> list[RunReport]:
    """Without those that were told by a process that was killed before it forgot them."""
    days = {report.started_at.date() for report in reports}
    known = lake.scan(TABLE).filter(pl.col("p_started_date_utc").is_in(days))
    rows = known.select("run_id", "asset", "started_at").collect().rows()
    return [each for each in reports if (each.run_id, each.asset, each.started_at) not in rows]


def _read(place: Path) -> Iterator[RunReport]:
    for line in place.read_text(encoding="utf-8").splitlines():
        try:
            told = json.loads(line)
            times = {name: told[name] and datetime.fromisoformat(told[name]) for name in _TIMES}
            report = RunReport(**told | times)
        except (ValueError, TypeError, KeyError):
            # Cut short by a kill, or of another release.
            continue
        yield report


def _lock_of(place: Path) -> FileLock:
    return FileLock(place.with_suffix(".lock"))
