"""Checks of what a run noticed at studios' tables and of what its roles may do there: warnings.

Belongs here: what each says of an hour. Does not: noticing it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from kpi_platform.arrivals.drift.drift_step import StudioDrift
from kpi_platform.arrivals.studios.studio_notices import StudioNotices
from kpi_platform.schemas.hours.hour_checks import CheckSpec, HourCheck

_TABLE = "raw_studio_events"
_MOST_NAMES = 20
KEYS = CheckSpec(
    "every_key_names_one_row",
    _TABLE,
    "No two rows of one read have the same key: of those that do only one would count.",
    is_warning=True,
)
AHEAD = CheckSpec(
    "every_row_lies_in_a_window",
    _TABLE,
    "No row's watermark lies further ahead than the limit for future events: no window takes such "
    "a row until its hour comes, if ever.",
    is_warning=True,
)
ROLES = CheckSpec(
    "roles_read_every_row_and_write_none",
    _TABLE,
    "The roles that we read studios with may write to no table, and row-level security hides no "
    "row of a mapped table from them.",
    is_warning=True,
)
STUDIO_TABLE_CHECKS = (KEYS, AHEAD, ROLES)


def check_studio_tables(
    hours: Sequence[datetime], drifts: Iterable[StudioDrift], notices: StudioNotices
) -> list[HourCheck]:
    """Evaluate the three for these hours, with what the run noticed; each names what it found."""
    roles = _roles(drifts)
    ahead = {table: rows for table, rows in notices.ahead.items() if rows}
    unknown = [table for table, rows in notices.ahead.items() if rows is None]
    uncounted = {"not_counted": _names(unknown)} if unknown else {}
    return [
        check
        for hour in hours
        for check in (
            HourCheck(KEYS, hour, not any(notices.repeated.values()), _rows(notices.repeated)),
            HourCheck(AHEAD, hour, not ahead, {**_rows(ahead), **uncounted}),
            HourCheck(ROLES, hour, not roles, roles),
        )
    ]


def _rows(found: Mapping[tuple[str, str], int]) -> dict[str, int | float | str]:
    rows = {table: count for table, count in found.items() if count}
    said = (f"{source}.{table}: {count:,} rows" for (source, table), count in sorted(rows.items()))
    return {"rows": sum(rows.values()), "tables": "; ".join(list(said)[:_MOST_NAMES])}


def _names(tables: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{source}.{table}" for source, table in sorted(tables)[:_MOST_NAMES])


def _roles(drifts: Iterable[StudioDrift]) -> dict[str, int | float | str]:
    """Per studio one sentence on what its role may write, and one on what is hidden from it."""
    said: dict[str, int | float | str] = {}
    for drift in drifts:
        writable = [
            f"{schema}.{table}" for schema, of in drift.traits.items() for table in of.writable
        ]
        roles = ", ".join(sorted({of.role for of in drift.traits.values() if of.writable}))
        if writable:
            names = ", ".join(sorted(writable)[:_MOST_NAMES])
            said[f"may_write_{drift.studio}"] = (
                f"role {roles} may write to {len(writable)} tables: {names}"
            )
        hidden = [change for change in drift.changes if change.kind == "table hides rows"]
        if hidden:
            names = ", ".join(f"{c.schema}.{c.table} shows {c.now} rows" for c in hidden)
            said[f"hidden_{drift.studio}"] = names
    return said
