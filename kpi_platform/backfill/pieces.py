"""A backfill in pieces: what is to be run, which pieces are done, and running the others.

Belongs here: the file that remembers the pieces, and Dagster's own command for each. Does not:
which hours need work (`plan.py`).

Each piece is a range of neighbouring hours, run like any other. What a killed one had finished
costs its second run a look.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from kpi_platform.backfill.plan import pieces_of
from kpi_platform.orchestration.partitions import HOUR, hour_of, key_of
from kpi_platform.schemas.hours.hour_ranges import named_range
from kpi_platform.settings import Settings
from kpi_platform.storage.lake.locks import file_lock
from kpi_platform.storage.local_servers.local_process import ending_with_us

# Hours of a piece: long enough that starting Dagster and dbt is little of it, short enough that a
# kill costs little.
LONGEST = timedelta(days=14)
_PROJECT = Path(__file__).resolve().parents[2]

State = Literal["waits", "done", "failed"]
RunPiece = Callable[["Piece", Path], int]


class BackfillError(ValueError):
    """There is no backfill to go on with, or another one waits; the message is one line."""


@dataclass
class Piece:
    """Hours from `first` to `last` (partition keys, both included), and how they stand."""

    first: str
    last: str
    state: State = "waits"

    @property
    def hours(self) -> int:
        """How many hours it has."""
        return (hour_of(self.last) - hour_of(self.first)) // HOUR + 1


@dataclass
class Backfill:
    """The pieces of a backfill, as its file below KPI_HOME remembers them."""

    path: Path
    pieces: list[Piece] = field(default_factory=list)

    @property
    def hours(self) -> int:
        """How many hours all pieces have."""
        return sum(piece.hours for piece in self.pieces)

    @property
    def left(self) -> list[Piece]:
        """The pieces that are not done: those that wait, and those that ended red."""
        return [piece for piece in self.pieces if piece.state != "done"]

    def keep(self) -> None:
        """Write the file, at once or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_suffix(".unfinished")
        unfinished.write_text(
            json.dumps([asdict(piece) for piece in self.pieces]), encoding="utf-8"
        )
        unfinished.replace(self.path)


def backfill_path(settings: Settings) -> Path:
    """Where the pieces of a backfill are remembered."""
    return settings.home / "backfill.json"


def new_backfill(settings: Settings, hours: Sequence[datetime]) -> Backfill:
    """Begin a backfill of these hours. Raises BackfillError if pieces of another one wait."""
    waiting = _read(settings)
    if waiting is not None and any(piece.state == "waits" for piece in waiting.pieces):
        raise BackfillError(
            f"a backfill of {waiting.hours:,} hours is not done: go on with `kpi backfill resume`,"
            f" or give it up by deleting {waiting.path}"
        )
    pieces = [Piece(key_of(some[0]), key_of(some[-1])) for some in pieces_of(hours, LONGEST)]
    made = Backfill(backfill_path(settings), pieces)
    made.keep()
    return made


def resumed_backfill(settings: Settings) -> Backfill:
    """The backfill that was begun last. Raises BackfillError if there is none."""
    found = _read(settings)
    if found is None:
        raise BackfillError("no backfill was begun: `kpi backfill run --from ... --to ...`")
    return found


def _read(settings: Settings) -> Backfill | None:
    path = backfill_path(settings)
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return Backfill(path, [Piece(**row) for row in rows])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise BackfillError(
            f"{path}: cannot be read ({error}): delete it, then plan anew"
        ) from None


@dataclass(frozen=True)
class Progress:
    """How far a backfill is: pieces and hours done, of how many, and seconds that may be left."""

    pieces: int
    of_pieces: int
    hours: int
    of_hours: int
    seconds_left: float | None
    piece: Piece


def carry_out(
    backfill: Backfill, run: RunPiece, clock: Callable[[], float] = time.monotonic
) -> Iterator[Progress]:
    """Run the pieces that are left, one after the other; yields before each and after the last.

    A piece that ends red is remembered as failed, and the others go on.
    """
    with file_lock(backfill.path.with_suffix(".lock")):
        started, run_hours = clock(), 0
        pieces = backfill.left
        for piece in pieces:
            yield _progress(backfill, piece, clock() - started, run_hours)
            piece.state = "failed" if run(piece, backfill.path.with_suffix(".log")) else "done"
            backfill.keep()
            run_hours += piece.hours
        if pieces:
            yield _progress(backfill, pieces[-1], clock() - started, run_hours)


def _progress(backfill: Backfill, piece: Piece, seconds: float, run_hours: int) -> Progress:
    ended = [item for item in backfill.pieces if item.state != "waits"]
    left = sum(item.hours for item in backfill.pieces if item.state == "waits")
    return Progress(
        len(ended),
        len(backfill.pieces),
        sum(item.hours for item in ended),
        backfill.hours,
        seconds / run_hours * left if run_hours else None,
        piece,
    )


def run_with_dagster(piece: Piece, log: Path) -> int:
    """Materialise everything for the piece's hours, as a person would; the exit code.

    What Dagster says is added to `log`. A kill of this process ends the run too.
    """
    hours = named_range(piece.first, piece.last)
    option = "--partition" if piece.first == piece.last else "--partition-range"
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "--select", "*"]
    defaults = {"DAGSTER_HOME": str(_PROJECT), "DAGSTER_MODULE_NAME": "kpi_platform.definitions"}
    with log.open("a", encoding="utf-8") as kept:
        process = subprocess.Popen(  # noqa: S603 (fixed command, no shell)
            [*command, option, hours],
            env={**defaults, **os.environ},
            stdout=kept,
            stderr=subprocess.STDOUT,
        )
        with ending_with_us(process):
            return process.wait()
