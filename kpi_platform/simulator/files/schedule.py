"""What happens to whole hours and files: which are missing, late, sent again or damaged.

Belongs here: choosing the cells (source, hour) that something happens to. Does not: doing it.
"""

from dataclasses import dataclass

import polars as pl

from kpi_platform.simulator.draws import Draws
from kpi_platform.simulator.world import UNLISTED_STUDIO, all_sources, source_index

REASONS = (
    "line_too_long",
    "not_utf8",
    "wrong_field_count",
    "bad_timestamp",
    "bad_transaction_id",
    "future_timestamp",
    "too_late",
    "bad_body",
    "missing_event_name",
)
# From this many hours on, a world has everything at least once.
EVENTFUL_HOURS = 12
Cell = tuple[str, int]


@dataclass(frozen=True)
class Schedule:
    """What happens, by (source, hour since the start); frames have source_index for source.

    `missing` hours have no folder, `empty` ones a folder without files; what they would hold
    comes in the next hour. `late` (source, hour, lane, late_hour) moves a file to another hour,
    `again` (source, hour, lane, again_hour) sends it twice. `broken` are lines sure to be there.
    """

    missing: frozenset[Cell]
    empty: frozenset[Cell]
    truncated: frozenset[Cell]
    unreadable: frozenset[Cell]
    late: pl.DataFrame
    again: pl.DataFrame
    broken: dict[Cell, list[str]]
    hours: int

    def delivery(self) -> pl.DataFrame:
        """Return (source_index, hour, delivered_hour): the hours that deliver later, or never."""
        rows: list[tuple[int, int, int | None]] = []
        for source, hour in sorted(self.missing | self.empty):
            later: int | None = hour
            while later is not None and (source, later) in self.missing | self.empty:
                later = later + 1 if later + 1 < self.hours else None
            rows.append((source_index(source), hour, later))
        schema = {"source_index": pl.Int64, "hour": pl.Int64, "delivered_hour": pl.Int64}
        return pl.DataFrame(rows, schema=schema, orient="row")


def make_schedule(draws: Draws, hours: int) -> Schedule:
    """Choose what happens in a world of `hours` hours; in very short ones little does."""
    chooser = _Chooser(draws, hours)
    missing = frozenset(chooser.cells(0.008))
    empty = frozenset(chooser.cells(0.008))
    late = chooser.moves(0.012, shifts=(1, 2, 3, 5, 8, 26, 49))
    again = chooser.moves(0.012, shifts=(0, 0, 1, 2, 9, 25))
    truncated = frozenset(chooser.cells(0.006))
    unreadable = frozenset(chooser.cells(0.002))
    return Schedule(
        missing=missing,
        empty=empty,
        truncated=truncated,
        unreadable=unreadable,
        late=_moves_frame(late, "late_hour"),
        again=_moves_frame(again, "again_hour"),
        broken=chooser.broken(),
        hours=hours,
    )


class _Chooser:
    """Deals cells from one shuffled deck, so that no cell has two things happen to it."""

    def __init__(self, draws: Draws, hours: int) -> None:
        self._random = draws.random("schedule")
        self._hours = hours
        sources = [source for source, _, studio in all_sources() if studio != UNLISTED_STUDIO]
        self._deck = [(source, hour) for source in sources for hour in range(hours)]
        self._size = len(self._deck)
        self._random.shuffle(self._deck)
        self._gaps: set[Cell] = set()

    def cells(self, share: float) -> list[Cell]:
        """So large a share of all (source, hour) as gaps, none of them dealt twice."""
        count = max(1, round(share * self._size)) if self._hours >= EVENTFUL_HOURS else 0
        dealt = [self._deck.pop() for _ in range(count)]
        self._gaps |= set(dealt)
        return dealt

    def moves(self, share: float, shifts: tuple[int, ...]) -> list[tuple[str, int, int, int]]:
        """Files that come in an hour one of `shifts` away: (source, hour, lane, that hour)."""
        count = max(3, round(share * self._size)) if self._hours >= EVENTFUL_HOURS else 0
        moves: list[tuple[str, int, int, int]] = []
        while len(moves) < count and self._deck:
            source, hour = self._deck.pop()
            other = hour + self._random.choice(shifts)
            if other < self._hours and (source, other) not in self._gaps:
                moves.append((source, hour, 0 if self._random.random() < 0.8 else 1, other))
        return moves

    def broken(self) -> dict[Cell, list[str]]:
        """Which reasons of quarantine a (source, hour) gets lines of: each of them somewhere."""
        broken: dict[Cell, list[str]] = {}
        if self._hours < EVENTFUL_HOURS:
            return broken
        long_lines = [REASONS[0]] * (self._hours // 48)
        for reason in (*REASONS, *long_lines):
            broken.setdefault(self._deck.pop(), []).append(reason)
        return broken


def _moves_frame(moves: list[tuple[str, int, int, int]], column: str) -> pl.DataFrame:
    schema = {"source_index": pl.Int64, "hour": pl.Int64, "lane": pl.Int8, column: pl.Int64}
    rows = [(source_index(source), *rest) for source, *rest in moves]
    return pl.DataFrame(rows, schema=schema, orient="row")
