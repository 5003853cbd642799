"""A platform of files: events written as telemetry files, and every step from there to history.

Belongs here: files, steps and the ledger's account, without Dagster. Does not: what should come
out.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from kpi_platform.arrivals.telemetry.raw_step import ArrivalLimits, RawStep
from kpi_platform.cleaned.events_step import EventsStep
from kpi_platform.engine.hour_steps import HourReport, HourStep
from kpi_platform.schemas.sources_file.sources import Sources
from kpi_platform.schemas.tables import INGEST_HOUR
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.landing.landing import Landing
from kpi_platform_tests.colours import worked
from kpi_platform_tests.laws.lake_world import Fault, FaultyLake, steps
from kpi_platform_tests.reference import Event

LIMITS = ArrivalLimits(late=timedelta(days=30), future=timedelta(hours=24))


@dataclass(frozen=True)
class FileWorld:
    """A landing folder and a lake below one folder."""

    folder: Path

    @property
    def landing(self) -> Path:
        return self.folder / "landing"

    @property
    def lake_uri(self) -> str:
        return str(self.folder / "lake")

    def hour_folder(self, hour: datetime, source: str = "source") -> Path:
        """Where the files of an hour lie; made if missing."""
        folder = self.landing / source / hour.strftime("%Y/%m/%d/%H")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def write(self, hour: datetime, events: Sequence[Event]) -> None:
        """Make the hour contain these events and nothing else, one file per source."""
        for old in self.landing.glob(f"*/{hour:%Y/%m/%d/%H}/*"):
            # What a file held, only an empty one of its name takes back.
            old.write_bytes(b"")
        for source in sorted({event.source for event in events}):
            lines = [line_of(event) for event in events if event.source == source]
            text = "".join(f"{line}\n" for line in lines)
            (self.hour_folder(hour, source) / "part-0.tsv").write_text(text, encoding="utf-8")

    def run(
        self, hours: Sequence[datetime], lake: Lake | None = None
    ) -> dict[str, list[HourReport]]:
        """Run every step for the hours: per table what became of each."""
        used = lake or Lake(self.lake_uri)
        return {step.table: worked(used, step, hours) for step in self.steps(used)}

    def steps(self, lake: Lake) -> list[HourStep]:
        """Every step from files to history."""
        landing = Landing(str(self.landing))
        raw = RawStep(lake, landing, Sources(), LIMITS)
        return steps(lake, raw, EventsStep(lake, Sources()))


def line_of(event: Event) -> str:
    """The event as a line of a TSV file; equal events give equal lines."""
    body = json.dumps({"Name": event.name, **event.attributes}, separators=(",", ":"))
    at = event.at.strftime("%Y-%m-%dT%H:%M:%S.%f+0000")
    fields = ("Telemetry", at, event.service, event.session, str(event.txn), body)
    return "\t".join(fields)


_FATES = pl.sum_horizontal("rows", "quarantined", "duplicates", "left_out", "suppressed", "sealed")


def unaccounted(lake: Lake) -> Iterator[dict[str, object]]:
    """The ledger rows whose lines are not all accounted for, by the ledger and by the tables."""
    ledger = lake.scan("hour_ledger").collect()
    for table, column in (("cleaned_events", "rows"), ("quarantined_events", "quarantined")):
        found = lake.scan(table).group_by(*INGEST_HOUR, "source").agg(found=pl.len()).collect()
        ledger = ledger.join(found, on=[*INGEST_HOUR, "source"], how="left").rename(
            {"found": f"found_{column}"}
        )
    files = lake.scan("file_ledger").collect()
    yield from files.filter((pl.col("lines") != _FATES).fill_null(value=True)).to_dicts()
    of_files = files.group_by(*INGEST_HOUR, "source").agg(file_lines=pl.col("lines").sum())
    ledger = ledger.join(of_files, on=[*INGEST_HOUR, "source"], how="left")
    is_right = (
        (pl.col("lines") == _FATES)
        & (pl.col("lines") == pl.col("file_lines").fill_null(0))
        & (pl.col("rows") == pl.col("found_rows").fill_null(0))
        & (pl.col("quarantined") == pl.col("found_quarantined").fill_null(0))
    )
    yield from ledger.filter(~is_right.fill_null(value=False)).to_dicts()


class _KilledLake(FaultyLake):
    """A lake whose process is killed in place of one write."""

    def _count(self) -> None:
        self.writes += 1
        if self._fault is not None and self.writes == self._fault.at_write:
            os.kill(os.getpid(), signal.SIGKILL)


def start_run(
    world: FileWorld, hours: Sequence[datetime], kill_at_write: int = 0
) -> "subprocess.Popen[bytes]":
    """Run every step in a process of its own, killed in place of one write (from 1) if asked to."""
    arguments = [str(world.folder), str(kill_at_write), *(hour.isoformat() for hour in hours)]
    # A fork would inherit Polars' threads as locks that nobody holds.
    return subprocess.Popen([sys.executable, "-m", __name__, *arguments])


def _main(folder: str, kill_at_write: str, *hours: str) -> None:
    world = FileWorld(Path(folder))
    lake = _KilledLake(world.lake_uri, Fault(int(kill_at_write)))
    world.run([datetime.fromisoformat(hour) for hour in hours], lake)


if __name__ == "__main__":
    _main(*sys.argv[1:])
