"""What was told of earlier days and is otherwise now.

Belongs here: comparing figures that were sent with figures as they are, purely, and the words. Does
not: reading either.

A figure that was told as complete is corrected if it is restated beyond the limit, however many
steps it took there; one that was told as provisional, if it is complete now and reads differently.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import polars as pl

from kpi_platform.published.pages.report_figures import ReportFigures
from kpi_platform.published.pages.report_words import shown
from kpi_platform.schemas.kpi_definitions import Definition
from kpi_platform.schemas.restatement_limits import Limit, is_beyond
from kpi_platform.schemas.tables import TABLES

TABLE = "reported_figures"
FIGURE = ["day", "studio", "game", "kpi"]
_SAID = [*FIGURE, "value", "is_complete"]
_SCHEMA = pl.Schema({name: TABLES[TABLE].polars_schema[name] for name in _SAID})
_MOST_NAMED = 12
# What never becomes complete is waited for no longer.
_WAITED_FOR = timedelta(days=60)


@dataclass(frozen=True)
class Corrections:
    """`lines`: what to say first; `told`: the figures (`FIGURE`, `value`, `is_complete`) that are
    known from now on; `waiting`: the days of which a figure may yet have to be told."""

    lines: tuple[str, ...] = ()
    told: pl.DataFrame = field(default_factory=_SCHEMA.to_frame)
    waiting: tuple[date, ...] = ()


def figures_told(figures: ReportFigures) -> pl.DataFrame:
    """The figures that a report of a day tells, with the columns of `Corrections.told`."""
    if figures.day is None:
        return _SCHEMA.to_frame()
    rows = []
    # What is told of all, or of the one studio, is the same figure as its line has.
    lines = [(line.studio, line.game, line.figures) for line in figures.studios]
    for studio, game, line in [(figures.studio_key, "all", figures.portfolio), *lines]:
        for each in line:
            rows.append((figures.day, studio, game, each.kpi.kpi, each.value, each.is_complete))
    found = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    return found.unique(FIGURE, keep="first", maintain_order=True)


def figures_now(
    daily: pl.DataFrame, coverage: pl.DataFrame | None, definitions: Sequence[Definition]
) -> pl.DataFrame:
    """The figures of rows of `kpi_daily` as a report would tell them, with the columns of
    `Corrections.told`; `coverage`: what studios and games never tell."""
    of_all = daily.filter(pl.col("platform") == "all")
    parts = []
    for kpi in definitions:
        if kpi.kpi in daily.columns:
            by = kpi.complete_by if kpi.complete_by in daily.columns else "is_complete"
            parts.append(
                of_all.select(
                    pl.col("date").alias("day"),
                    "studio",
                    "game",
                    pl.lit(kpi.kpi).alias("kpi"),
                    pl.col(kpi.kpi).cast(pl.Float64).alias("value"),
                    pl.col(by).alias("is_complete"),
                )
            )
    found = pl.concat([_SCHEMA.to_frame(), *parts])
    if coverage is None:
        return found
    never = coverage.filter(
        ~pl.col("is_available"), pl.col("platform") == "all", pl.col("studio") != "all"
    ).select("studio", "game", "kpi", is_silent=pl.lit(value=True))
    known = found.join(never, on=["studio", "game", "kpi"], how="left")
    value = pl.when(pl.col("is_silent").is_null()).then("value")
    return known.with_columns(value.alias("value")).select(_SAID)


def corrections(
    told: pl.DataFrame,
    now: pl.DataFrame,
    limit: Limit,
    definitions: Sequence[Definition],
    names: Mapping[str, str],
    today: date,
) -> Corrections:
    """What of `told` is to be corrected by `now`, both with the columns of `Corrections.told`.

    A figure without a row now has no value, which is complete if it was told as complete. `names`:
    of studios and games, by key; `today`: the day that is told of.
    """
    by_kpi = {each.kpi: each for each in definitions}
    both = (
        told.select(_SAID)
        .filter(pl.col("kpi").is_in(list(by_kpi)))
        .rename({"value": "old_value", "is_complete": "was_complete"})
        .join(now.rename({"value": "new_value"}), on=FIGURE, how="left")
        .with_columns(pl.col("is_complete").fill_null(pl.col("was_complete")))
    )
    differs = pl.col("old_value").ne_missing(pl.col("new_value"))
    restated = both.filter("was_complete", "is_complete", differs & is_beyond(limit))
    done = both.filter(~pl.col("was_complete") & pl.col("is_complete"))
    reads_otherwise = [
        _shown(by_kpi, kpi, old) != _shown(by_kpi, kpi, new)
        for kpi, old, new in done.select("kpi", "old_value", "new_value").iter_rows()
    ]
    corrected = pl.concat([restated, done.filter(pl.Series(reads_otherwise, dtype=pl.Boolean))])
    waiting = both.filter(~pl.col("is_complete"), pl.col("day") >= today - _WAITED_FOR)
    known = pl.concat([restated, done]).rename({"new_value": "value"}).select(_SAID)
    return Corrections(
        _lines(corrected, by_kpi, names), known, tuple(waiting["day"].unique().sort())
    )


def _lines(
    rows: pl.DataFrame, by_kpi: Mapping[str, Definition], names: Mapping[str, str]
) -> tuple[str, ...]:
    """The newest day first, in it the whole before its parts."""
    is_part = (pl.col("studio") != "all").cast(pl.Int8) + (pl.col("game") != "all").cast(pl.Int8)
    order = rows.sort(
        [-pl.col("day").to_physical(), is_part, pl.col("studio"), pl.col("game"), pl.col("kpi")]
    )
    lines = []
    for row in order.head(_MOST_NAMED).iter_rows(named=True):
        part = row["studio"] if row["game"] == "all" else row["game"]
        of = "" if part == "all" else f" of {names.get(part) or part}"
        old, new = (_shown(by_kpi, row["kpi"], row[name]) for name in ("old_value", "new_value"))
        was = "" if row["was_complete"] else ", which was not complete"
        lines.append(f"{by_kpi[row['kpi']].label}{of}, {row['day']}: {old} is now {new}{was}")
    more = rows.height - len(lines)
    return (*lines, *((f"and {more} more figures",) if more > 0 else ()))


def _shown(by_kpi: Mapping[str, Definition], kpi: str, value: float | None) -> str:
    return shown(value, by_kpi[kpi].shown_unit)
