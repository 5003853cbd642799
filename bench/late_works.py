"""The works of late files, each run in a process of its own: `make`, `late`, `own`; `-chain` too.

Belongs here: an hour of many files, and one more. Does not: comparing.
"""

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.lake_steps import hour_file, run_steps, steps_of

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
        hour_file(folder, HOUR, f"part-{number:04}.tsv").write_bytes(b"".join(part))
    _run(folder, HOUR, is_chain=True)


def _late(folder: Path, hour: datetime, *, is_chain: bool) -> None:
    late = (folder / "late.tsv").read_bytes()
    hour_file(folder, hour, "part-0500-late.tsv").write_bytes(late)
    _run(folder, hour, is_chain=is_chain)


def _run(folder: Path, hour: datetime, *, is_chain: bool) -> None:
    steps = steps_of(folder)
    run_steps(folder, steps if is_chain else steps[:2], [hour])


if __name__ == "__main__":
    _name, _folder = sys.argv[1], Path(sys.argv[2])
    _started = time.monotonic()
    if _name == "make":
        _make(_folder)
    else:
        _hour = HOUR if _name.startswith("late") else OWN
        _late(_folder, _hour, is_chain=_name.endswith("-chain"))
    sys.stdout.write(f"worked {time.monotonic() - _started}\n")
