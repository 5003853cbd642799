"""Hours as typed beside SQLMesh's whole plan of the same, and who is right afterwards.

Belongs here: the comparisons, and the table of exactness. Does not: the works (`sqlmesh_works`).
"""

import sys
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.table import Table

from bench.measure import Comparison, Work, measure

KILLED = "killed"
_COLUMNS = ["work", "side", "rows"]
_WORDS = {
    "build": "eight hours at once",
    "next": "next hour",
    "late": "next hour with a late event",
    "unchanged": "nothing changed",
    "correction": "corrected old hour",
    "kill": "next hour, killed three times, again",
}
# In this order: what makes a side wrong stays wrong in all that comes after.
_MEASURED = ("next", "late", "unchanged", "correction")


def comparisons(folder: Path) -> list[Comparison]:
    """A next, a late and a corrected hour, beyond Dagster's own command, at most 4 times SQLMesh's
    whole plan."""

    def work(side: str, name: str, within: Path = folder) -> Work:
        command = [sys.executable, "-m", "bench.sqlmesh_works", side, name, str(within)]
        return Work(f"{side}: {name}", command)

    measure(work("ours", "empty"))
    killed = folder / KILLED
    killed.mkdir()
    for side in ("ours", "sqlmesh"):
        measure(work(side, "build"))
        # What a kill leaves behind is to harm no other item.
        measure(work(side, "build", killed))
        measure(work(side, "kill", killed))
    return [
        Comparison(
            f"{_WORDS[name]}, beyond Dagster's empty asset",
            work("ours", name),
            work("sqlmesh", name),
            4.0,
        )
        for name in _MEASURED
    ]


def show_exactness(folder: Path) -> None:
    """Print the rows that were wrong after each item, the first time that it was done."""
    told = pl.concat(
        pl.read_csv(each / "exactness.csv", has_header=False, new_columns=_COLUMNS)
        for each in (folder, folder / KILLED)
    )
    first = told.unique(["work", "side"], keep="first", maintain_order=True)
    table = Table("rows that differ from the reference after", "ours", "SQLMesh")
    for name, words in _WORDS.items():
        rows = dict(first.filter(pl.col("work") == name).select("side", "rows").iter_rows())
        table.add_row(words, str(rows["ours"]), str(rows["sqlmesh"]))
    Console(width=None if sys.stdout.isatty() else 100).print(table)
