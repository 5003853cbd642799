"""The works of late files, each run in a process of its own: `make`, `late`, `own`; `-chain` too.

Belongs here: an hour of many files, and one more. Does not: comparing.
"""

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kpi_platform.arrivals.telemetry.raw_step import ArrivalLimits, RawStep
from kpi_platform.cleaned.events_step import EventsStep
from kpi_platform.cleaned.sessionization.sessions_step import SessionsStep
from kpi_platform.engine.hour_steps import HourStep, work_through
from kpi_platform.history.history_step import HistoryStep
from kpi_platform.schemas.players import PlayerIdRules
from kpi_platform.schemas.sources_file.sources import Sources
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.landing.landing import Landing

HOUR = datetime(2026, 1, 1, 5, tzinfo=UTC)
OWN = HOUR + timedelta(hours=1)
FILES, LINES = 1_000, 200


def _make(folder: Path) -> None:
    from bench.telemetry import write_hour

    whole = folder / "whole.tsv"
    write_hour(whole, (FILES + 1) * LINES)
    lines = whole.read_bytes().splitlines(keepends=True)
    parts = [lines[start : start + LINES] for start in range(0, len(lines), LINES)]
    (folder / "late.tsv").write_bytes(b"".join(parts.pop()))
    for number, part in enumerate(parts):
        _put(folder, HOUR, f"part-{number:04}.tsv", b"".join(part))
    _run(folder, HOUR, is_chain=True)


def _late(folder: Path, hour: datetime, *, is_chain: bool) -> None:
    _put(folder, hour, "part-0500-late.tsv", (folder / "late.tsv").read_bytes())
    _run(folder, hour, is_chain=is_chain)


def _put(folder: Path, hour: datetime, name: str, data: bytes) -> None:
    path = folder / f"landing/game/{hour:%Y/%m/%d/%H}" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _run(folder: Path, hour: datetime, *, is_chain: bool) -> None:
    lake, landing = Lake(str(folder / "lake")), Landing(str(folder / "landing"))
    limits = ArrivalLimits(timedelta(days=30), timedelta(hours=24))
    rules = PlayerIdRules(("PlayerId",))
    steps: list[HourStep] = [
        RawStep(lake, landing, Sources(), limits),
        EventsStep(lake, Sources()),
        SessionsStep(lake, rules, timedelta(hours=24)),
        HistoryStep(lake, rules),
    ]
    for step in steps if is_chain else steps[:2]:
        (reports,) = work_through(lake, step, [hour], 1 << 30)
        if [report.status for report in reports] != ["written"]:
            raise SystemExit(f"not what was to be measured: {reports}")


if __name__ == "__main__":
    _name, _folder = sys.argv[1], Path(sys.argv[2])
    _started = time.monotonic()
    if _name == "make":
        _make(_folder)
    else:
        _hour = HOUR if _name.startswith("late") else OWN
        _late(_folder, _hour, is_chain=_name.endswith("-chain"))
    sys.stdout.write(f"worked {time.monotonic() - _started}\n")
