"""Which complete figures were restated beyond the limit since the last look.

Belongs here: reading `kpi_restatements`. Does not: what restates a figure.

One publication is one incident, told once, however many figures one corrected hour restates.
"""

from collections import Counter
from collections.abc import Collection
from datetime import datetime

import polars as pl

from kpi_platform.alerts.incidents import Look
from kpi_platform.published.publish import VALUES, books_hold_through
from kpi_platform.schemas.findings import Finding
from kpi_platform.schemas.restatement_limits import Limit, is_beyond
from kpi_platform.storage.lake.lake import Lake

_TABLE = "kpi_restatements"
_MOST_NAMED = 5


def look_at_restatements(
    lake: Lake, mark: datetime | None, limit: Limit
) -> tuple[list[Look], datetime | None]:
    """The publications after `mark` that restated figures beyond the limit, and the new mark.

    Without a mark nothing is told: what was restated before anybody asked is known. Restatements
    are entered before the figures are published, and anew if that was cut short: of those that
    nobody can read yet nothing is told.
    """
    rows = lake.published(_TABLE)
    if rows is None:
        return [], mark
    seen = rows.filter(pl.col("restated_at") <= books_hold_through(lake, VALUES))
    newest = seen.select(pl.col("restated_at").max()).collect().item()
    if newest is None or mark is None or newest <= mark:
        return [], newest or mark
    found = seen.filter(pl.col("restated_at") > mark).collect()
    told = found.filter(is_beyond(limit))
    parts = told.partition_by("restated_at", maintain_order=True)
    findings = tuple(_finding(part) for part in parts)
    return [Look(findings, "figure_restated")] if findings else [], newest


def restated_at(lake: Lake, checks: Collection[str]) -> dict[str, pl.DataFrame]:
    """The rows of `kpi_restatements` of these publications, named as their incidents' checks."""
    rows = lake.published(_TABLE)
    if rows is None or not checks:
        return {}
    first = min(datetime.fromisoformat(check) for check in checks)
    found = rows.filter(pl.col("restated_at") >= first).collect()
    parts = found.partition_by("restated_at")
    named = {_name(part): part for part in parts}
    return {check: named[check] for check in checks if check in named}


def restatement_words(rows: pl.DataFrame) -> str:
    """What a publication restated, in a sentence: rows of `kpi_restatements`."""
    causes = Counter(rows["cause"].to_list())
    # The portfolio's figures say most; of equal ones the greatest change.
    change = (pl.col("new_value").fill_null(0) - pl.col("old_value").fill_null(0)).abs()
    share = change / (pl.col("old_value").abs() + 1)
    first = rows.sort(pl.col("studio") != "all", share, descending=[False, True])
    named = "; ".join(_words(row) for row in first.head(_MOST_NAMED).iter_rows(named=True))
    more = rows.height - _MOST_NAMED
    figures = "1 complete figure" if rows.height == 1 else f"{rows.height} complete figures"
    return (
        f"{figures} changed beyond the limit, because of "
        f"{', '.join(causes)}: {named}{f'; and {more} more' if more > 0 else ''}."
    )


def _finding(rows: pl.DataFrame) -> Finding:
    hours = sorted({hour for each in rows["caused_by_hours"].to_list() for hour in each or ()})
    cause = restatement_words(rows)
    return Finding("figure_restated", _TABLE, cause, check=_name(rows), hours=tuple(hours))


def _name(rows: pl.DataFrame) -> str:
    at: datetime = rows["restated_at"][0]
    return at.isoformat(timespec="seconds")


def _words(row: dict[str, object]) -> str:
    of = "/".join(str(row[name]) for name in ("studio", "game", "platform"))
    return f"{row['kpi']} of {row['period']} ({of}) from {row['old_value']} to {row['new_value']}"
