"""The version history at ten million players, beside what others would do with the same files.

Belongs here: the comparisons, the world that they share, and cheap copies of it. Does not: the
works (`history_works`, `history_peers`), whose imports would count as memory of every process
started from here.

`KPI_BENCH_PLAYERS` makes a smaller world, `KPI_BENCH_WORLDS` names a folder that keeps the worlds
for the next run (a world of ten million players: 9 GB, made in about five minutes).
"""

import os
import shutil
import sys
from pathlib import Path

from bench.measure import Comparison, Work, measure

PLAYERS = 10_000_000
MEBIBYTES = 1024


class _Worlds:
    """Lakes of many players, and works on copies of them."""

    def __init__(self, folder: Path) -> None:
        self._copies = folder
        self._kept = Path(os.environ.get("KPI_BENCH_WORLDS", folder / "worlds"))
        self.players = int(os.environ.get("KPI_BENCH_PLAYERS", PLAYERS))

    def work(
        self,
        name: str,
        module: str = "history_works",
        *,
        copy: str | None = None,
        players: int | None = None,
        first: str = "",
    ) -> Work:
        """A work on a fresh copy, after the work `first`; on the copy of another; or ("") on the
        world itself, where it only reads."""
        count = players or self.players
        # An hour of 100,000 players has regulars; how many do not depends on all ever seen.
        sizes = [str(count), str(self.players // 5), str(self.players // 100)]
        world = self._kept / str(count)
        where = world if copy == "" else self._copies / (copy or f"{name}-{count}")

        def command(module: str, name: str, where: Path) -> list[str]:
            return [sys.executable, "-m", f"bench.{module}", name, str(where), *sizes]

        def before() -> None:
            if not (world / "made").exists():
                measure(Work("make", command("history_works", "make", world)))
                (world / "made").touch()
            if copy is None:
                copy_lake(world, where)
            if first:
                measure(Work(first, command("history_works", first, where)))

        title = name if count == self.players else f"{name} of {count:,}"
        return Work(title, command(module, name, where), before=before)


def hours(folder: Path) -> list[Comparison]:
    """An hour in order beside MERGE, of half the players, and once more."""
    worlds = _Worlds(folder)
    hour, merge = worlds.work("hour"), worlds.work("merge", "history_peers")
    half = worlds.work("hour", players=worlds.players // 2)
    again, check = (worlds.work(w, copy=f"hour-{worlds.players}") for w in ("again", "check"))
    wide = worlds.work("wide_hour", first="widen")
    title = f"an hour of {worlds.players:,} players"
    return [
        Comparison(f"{title}, beside MERGE", hour, merge, 1 / 3, MEBIBYTES),
        Comparison("the same hour again", again, hour, 1 / 20),
        Comparison("its checks (no bar)", check, hour, float("inf")),
        Comparison("growth from half the players", hour, half, 1.3),
        Comparison("return after up to 400 days (no bar)", wide, merge, float("inf")),
    ]


def rebuilds(folder: Path) -> list[Comparison]:
    """Everything anew beside DuckDB, and a corrected hour beside everything anew."""
    worlds = _Worlds(folder)
    rebuild = worlds.work("rebuild")
    corrected = worlds.work("old_hour", first="correct")
    peer = worlds.work("duckdb_rebuild", "history_peers", copy=f"rebuild-{worlds.players}")
    return [
        Comparison("corrected hour, 30 days old", corrected, rebuild, 1 / 20, MEBIBYTES),
        Comparison("rebuild, beside DuckDB", rebuild, peer, 1.0),
    ]


def questions(folder: Path) -> list[Comparison]:
    """One player after the other (median), and five million events at once."""
    worlds = _Worlds(folder)
    lookup, as_of = worlds.work("lookup", copy=""), worlds.work("as_of", copy="")
    peers = [
        worlds.work(name, "history_peers", copy="")
        for name in ("duckdb_lookup", "duckdb_as_of", "polars_as_of")
    ]
    return [
        Comparison("a player's version, beside DuckDB", lookup, peers[0], 1.0),
        Comparison("a player's version", lookup, None, 0.05),
        Comparison("5,000,000 events, beside DuckDB", as_of, peers[1], 1.0),
        Comparison("5,000,000 events, beside Polars", as_of, peers[2], 1.0),
    ]


def copy_lake(world: Path, copy: Path) -> None:
    """A lake with the same files, by hard links, and logs of its own."""
    shutil.rmtree(copy, ignore_errors=True)
    for folder, _, names in os.walk(world):
        target = copy / Path(folder).relative_to(world)
        target.mkdir(parents=True)
        for name in names:
            source = Path(folder) / name
            if target.name == "_delta_log":
                shutil.copy2(source, target / name)
            else:
                (target / name).hardlink_to(source)
