"""A small world on a real lake: what the hours contain, and the moves that bring it there.

Belongs here: driving the real steps over real Delta tables, crashes included, and reading the
tables back. Does not: choosing the moves, and knowing what the tables should hold.
"""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from kpi_platform.cleaned.sessionization.sessions_step import SessionsStep
from kpi_platform.engine.hour_steps import Done, HourStep
from kpi_platform.history.history_step import HistoryStep
from kpi_platform.schemas.fingerprints import fingerprint
from kpi_platform.schemas.players import PlayerIdRules
from kpi_platform.schemas.tables import TABLES
from kpi_platform.schemas.version_keys import version_sort_key
from kpi_platform.storage.lake.lake import Lake
from kpi_platform_tests.colours import FOLDED, worked
from kpi_platform_tests.reference import (
    PLAYER_ID_ATTRIBUTES,
    SILENCE,
    Event,
    Row,
    cleaned_events,
    interval_partition,
    reference_history,
    reference_intervals,
    reference_sessions,
)

PARTITION = ["p_state", "p_month"]
CONSUMED_TABLES = ("sessions", "user_version_history", "user_version_intervals")
WHOLE = 1_000_000
RULES = PlayerIdRules(PLAYER_ID_ATTRIBUTES)


class Killed(BaseException):
    """Ends a run the way SIGKILL does: nothing in the engine may catch it."""


@dataclass(frozen=True)
class Fault:
    """What happens instead of the write with this number (from 1) of a run."""

    at_write: int
    error: type[BaseException] = Killed


class FaultyLake(Lake):
    """A lake in which one write of a run does not happen, and the run learns it the hard way."""

    def __init__(self, uri: str, fault: Fault | None = None) -> None:
        super().__init__(uri)
        self._fault = fault
        self.writes = 0

    def replace(self, table: str, rows: pl.DataFrame, predicate: str) -> None:
        self._count()
        super().replace(table, rows, predicate)

    def stream_hours(self, *arguments: Any, **options: Any) -> None:
        self._count()
        super().stream_hours(*arguments, **options)

    def change_hours(self, *arguments: Any, **options: Any) -> None:
        self._count()
        super().change_hours(*arguments, **options)

    def add_to_hour(self, *arguments: Any, **options: Any) -> bool:
        self._count()
        return super().add_to_hour(*arguments, **options)

    def append(self, table: str, rows: pl.DataFrame) -> None:
        self._count()
        super().append(table, rows)

    def delete(self, table: str, predicate: str) -> None:
        self._count()
        super().delete(table, predicate)

    def apply_changes(self, table: str, upserts: pl.DataFrame, deletes: pl.DataFrame) -> int:
        self._count()
        return super().apply_changes(table, upserts, deletes)

    def _count(self) -> None:
        self.writes += 1
        if self._fault is not None and self.writes == self._fault.at_write:
            raise self._fault.error(f"write {self.writes}")


Contents = Mapping[datetime, Sequence[Event]]


class ContentsStep:
    """Stands for room 1 and `EventsStep`: `cleaned_events` straight from lists of events."""

    table = "cleaned_events"
    hours_stand_alone = True

    def __init__(self, lake: Lake, contents: Contents) -> None:
        self._lake = lake
        self._contents = contents

    def inputs(self, hours: Sequence[datetime]) -> Mapping[datetime, str]:
        return {hour: self._content(hour) for hour in hours}

    def weight(self, hour: datetime) -> int:
        return len(self._contents.get(hour, ()))

    def fail(self, hour: datetime, error: str) -> None:
        """There is no ledger here."""

    def run(self, hours: Sequence[datetime]) -> Mapping[datetime, Done]:
        events = list(chain.from_iterable(self._contents.get(hour, ()) for hour in hours))
        self._lake.replace_hours("cleaned_events", cleaned_events(events), hours)
        return {hour: Done(self._content(hour), self.weight(hour)) for hour in hours}

    def _content(self, hour: datetime) -> str:
        return fingerprint(*sorted({event.event_id for event in self._contents.get(hour, ())}))


@dataclass(frozen=True)
class Move:
    """New contents of hours, and the run (or two at once) that follows them.

    `beside` are the hours of a second run at the same time. Hours that a fault keeps from being
    done are pending: the law speaks about them once they have been run again.
    """

    hours: tuple[datetime, ...]
    put: Contents = field(default_factory=dict)
    chunk_limit: int = WHOLE
    fault: Fault | None = None
    beside: tuple[datetime, ...] = ()


class World:
    """The contents of hours, the lake that holds them, and every move that was made."""

    def __init__(self, folder: Path) -> None:
        self.uri = str(folder)
        self.contents: dict[datetime, Sequence[Event]] = {}
        self.pending: set[datetime] = set()
        self.moves: list[Move] = []

    def make(self, move: Move) -> None:
        """Change the contents, run the hours; a fault leaves hours pending, nothing else may."""
        self.moves.append(move)
        self.contents.update(move.put)
        hours = {*move.hours, *move.beside}
        self.pending |= set(move.put) | hours
        if move.beside:
            with ThreadPoolExecutor(2) as executor:
                runs = [
                    executor.submit(self._run, part, move.chunk_limit)
                    for part in (move.hours, move.beside)
                ]
                done = set().union(*(run.result() for run in runs))
        else:
            done = self._run(move.hours, move.chunk_limit, move.fault)
        if move.fault is None:
            assert done == hours, f"hours that did not become up to date: {hours - done}"
        self.pending -= done

    def finish(self) -> None:
        """Run what is pending, as the next run would."""
        if self.pending:
            self.make(Move(tuple(sorted(self.pending))))

    def check(self) -> None:
        """The order law: the tables equal the reference over the contents, row for row."""
        if not self.pending:
            expected = expected_tables(list(chain.from_iterable(self.contents.values())))
            for table, rows in read_tables(self.uri).items():
                assert rows == expected[table], f"{table} differs from the reference"

    def check_from_scratch(self, folder: Path) -> None:
        """The order law once more: the tables equal one build over the final contents."""
        other = World(folder)
        other.make(Move(tuple(sorted(self.contents)), dict(self.contents)))
        assert read_tables(other.uri) == read_tables(self.uri)

    def versions(self) -> dict[str, int | None]:
        """The version of every table: equal if nothing was written."""
        lake = Lake(self.uri)
        return {table: lake.version(table) for table in TABLES}

    def _run(
        self, hours: Sequence[datetime], chunk_limit: int, fault: Fault | None = None
    ) -> set[datetime]:
        """The hours that are up to date in every table afterwards."""
        lake = FaultyLake(self.uri, fault)
        done = set(hours)
        try:
            for step in steps(lake, ContentsStep(lake, self.contents)):
                reports = worked(lake, step, hours, chunk_limit, FOLDED)
                done &= {report.hour for report in reports if report.is_up_to_date}
        except Killed:
            return set()
        except OSError:
            # Of what is done for no hour in particular: the step is red, and none is done.
            if fault is None:
                raise
            return set()
        return done


def steps(lake: Lake, *before: HourStep) -> list[HourStep]:
    """The steps under test, after those that fill `cleaned_events`."""
    return [*before, SessionsStep(lake, RULES, SILENCE), HistoryStep(lake, RULES)]


def expected_tables(events: list[Event]) -> dict[str, list[Row]]:
    """What the tables hold, by the reference, sorted by key."""
    boundaries = [n for n in TABLES["user_version_intervals"].polars_schema if n not in PARTITION]
    return {
        "sessions": reference_sessions(events),
        "user_version_history": reference_history(events),
        "user_version_intervals": [
            {name: row[name] for name in boundaries if name in row}
            | {"version_sort_key": version_sort_key(row["version"])}
            | dict(zip(PARTITION, interval_partition(row), strict=True))
            for row in reference_intervals(events)
        ],
    }


def read_tables(uri: str, tables: Collection[str] = CONSUMED_TABLES) -> dict[str, list[Row]]:
    """What the tables hold, sorted by key."""
    lake = Lake(uri)
    return {
        table: lake.scan(table).collect().sort(TABLES[table].keys).to_dicts() for table in tables
    }
