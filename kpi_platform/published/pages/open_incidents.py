"""The open incidents as dashboard and daily report show them.

Belongs here: which of their columns, and in which words. Does not: finding incidents (`alerts`),
and escaping, which each form does for itself.
"""

from typing import Any

import polars as pl

from kpi_platform.schemas.findings import KINDS

TABLE = "incidents"
_MOST = 50
_MOST_IN_A_REPORT = 8
_LONGEST = 400


def only_open(rows: pl.LazyFrame) -> pl.LazyFrame:
    """The rows of `incidents` that are open, errors first, of each the oldest first."""
    return rows.filter(pl.col("resolved_at").is_null()).sort(
        "severity", "opened_at", "incident_id", maintain_order=True
    )


def incidents_block(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Open incidents as the dashboard's script reads them."""
    return [
        {
            "title": title_of(row),
            **{name: str(row[name])[:_LONGEST] for name in ("cause", "hours", "mend", "affects")},
            **{name: row[name] for name in ("incident_id", "severity", "studios")},
            "since": f"{row['opened_at']:%Y-%m-%d %H:%M}",
        }
        for row in rows.head(_MOST).iter_rows(named=True)
    ]


def incident_lines(rows: pl.DataFrame) -> tuple[str, ...]:
    """Open incidents as lines of the daily report."""
    lines = [
        f"{title_of(row)} (since {row['opened_at']:%Y-%m-%d %H:%M} UTC, {row['incident_id']})"
        for row in rows.head(_MOST_IN_A_REPORT).iter_rows(named=True)
    ]
    more = rows.height - len(lines)
    return (*lines, *((f"{more} more incidents are open",) if more else ()))


def title_of(row: dict[str, Any]) -> str:
    """What happened, to what, in a line."""
    about = ", ".join(str(row[name]) for name in ("source", "asset", "check") if row[name])
    kind = KINDS.get(str(row["kind"]), str(row["kind"]))
    return f"{kind}: {about}" if about else kind
