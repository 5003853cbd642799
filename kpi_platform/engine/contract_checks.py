"""The contract check of hourly tables, from the rows as they are stored, in bounded memory.

Belongs here: reading the rows that a contract is held against. Does not: the contract's rules.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import polars as pl

from kpi_platform.schemas.hours.hour_checks import (
    HourCheck,
    contract_checks,
    contract_spec,
)
from kpi_platform.schemas.tables import INGEST_HOUR, TABLES, Table
from kpi_platform.storage.lake.lake import Lake, hours_of

ROWS_AT_A_TIME = 250_000


def check_contract(lake: Lake, table: str, hours: Sequence[datetime]) -> list[HourCheck]:
    """Evaluate whether a table keeps its contract in each of these ingest hours.

    Sound hours, which nearly all are, are never held in memory as a whole, nor looked at one by
    one; only if there is a violation somewhere, each hour is read to say what it is.
    """
    rows = _rows_of_sound_hours(lake, table, hours)
    if rows is None:
        return list(contract_checks(table, hours_of(lake.read_hours(table, hours), hours)))
    spec = contract_spec(table)
    return [
        HourCheck(spec, hour, passed=True, figures={"rows": rows[hour.date(), hour.hour]})
        for hour in hours
    ]


def _rows_of_sound_hours(
    lake: Lake, table: str, hours: Sequence[datetime]
) -> Counter[tuple[object, ...]] | None:
    """The number of rows of each hour; None if any row may break a rule of the contract."""
    contract = TABLES[table]
    if dict(lake.scan(table).collect_schema()) != dict(contract.polars_schema):
        return None
    # Of most columns, and of most of an hour's bytes, the contract asks nothing but a value. Where
    # the files say that there is no null, they need not be read.
    sure = contract.unruled & (lake.columns_without_nulls(table, hours) | _nullable(contract))
    rules = contract.rows(sure)
    columns = [name for name in contract.polars_schema if name not in sure]
    rows: Counter[tuple[object, ...]] = Counter()
    hashes = [pl.Series([], dtype=pl.UInt64)]
    is_sound = True
    # Read to the end in any case: what makes the parts does not stop by itself.
    for part in lake.read_hours_in_parts(table, hours, ROWS_AT_A_TIME, columns):
        is_sound = is_sound and rules.is_valid(part)
        if is_sound:
            hashes.append(part.select(contract.keys).hash_rows())
            for *hour, count in part.group_by(INGEST_HOUR).len().iter_rows():
                rows[tuple(hour)] += count
    # Different keys with one hash are a matter of luck; they only cost a second, exact look.
    found = pl.concat(hashes)
    return rows if is_sound and found.n_unique() == len(found) else None


def _nullable(contract: Table) -> set[str]:
    return {name for name, column in contract.schema.columns().items() if column.nullable}
