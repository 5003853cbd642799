"""SQL text for reading a studio's tables: names quoted, windows as conditions on one column.

Belongs here: building statements. Does not: running them.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from kpi_platform.schemas.sources_file.column_types import NUMBERS, Family, column_type
from kpi_platform.schemas.sources_file.source_values import EPOCH_PER_SECOND, Time
from kpi_platform.storage.studio_databases.errors import TerminalWarehouseError
from kpi_platform.storage.studio_databases.interface import Window

# Per column: how it is read (SQL), given its quoted name and the database's type.
ReadAs = Callable[[str, str], str]
_ISO = "%Y-%m-%dT%H:%M:%S"


def quoted(name: str) -> str:
    """A name as SQL's quoted identifier. Raises TerminalWarehouseError for one with a NUL."""
    if "\0" in name:
        raise TerminalWarehouseError(f"a name holds a NUL character: {name!r}")
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL's literal, in databases where a backslash is a character like others."""
    if "\0" in text:
        raise TerminalWarehouseError(f"a text holds a NUL character: {text!r}")
    return "'" + text.replace("'", "''") + "'"


def place(schema: str, table: str, database: str = "") -> str:
    """A table's name, with its database's where a schema may be called as that is."""
    return ".".join(quoted(name) for name in (database, schema, table) if name)


def select(
    schema: str,
    table: str,
    columns: Sequence[str],
    types: dict[str, str],
    window: Window | None,
    read_as: ReadAs,
    collation: str = "",
    database: str = "",
) -> str:
    """The statement that reads a window; `types` has the database's type of every column.

    Raises TerminalWarehouseError naming the columns that are not there, or a watermark whose type
    is not what the mapping says.
    """
    missing = sorted(set(columns) - types.keys())
    if missing:
        raise TerminalWarehouseError(f"table {table}: no column {', '.join(missing)}")
    read = [f"{read_as(quoted(c), types[c])} AS {quoted(c)}" for c in columns]
    source = place(schema, table, database)
    # Without columns there is still one row per row.
    return f"SELECT {', '.join(read) or '1'} FROM {source}{_where(table, types, window, collation)}"


def count(
    schema: str,
    table: str,
    types: dict[str, str],
    window: Window | None,
    collation: str = "",
    database: str = "",
) -> str:
    """The statement that counts a window's rows. Raises as `select`."""
    where = _where(table, types, window, collation)
    return f"SELECT count(*) FROM {place(schema, table, database)}{where}"


def repeats(source: str, columns: Sequence[str]) -> str:
    """The statement that finds one set of values that several rows of `source` have."""
    names = ", ".join(quoted(column) for column in columns)
    return f"SELECT 1 FROM {source} GROUP BY {names} HAVING count(*) > 1 LIMIT 1"


def _where(table: str, types: dict[str, str], window: Window | None, collation: str) -> str:
    if window is None:
        return ""
    name = window.watermark.column
    if name not in types:
        raise TerminalWarehouseError(f"table {table}: no column {name}, its watermark")
    family = column_type(types[name]).family
    column = quoted(name)
    bound = _bounds(table, types[name], family, window.watermark)
    if family == "text":
        column += collation
    terms = []
    if window.start is not None:
        terms.append(f"{column} >= {bound(window.start, True)}")
    if window.end is not None:
        terms.append(f"{column} < {bound(window.end, False)}")
    text = " AND ".join(terms)
    # Rows that were never stamped are of the first window: no later one would ever find them.
    unstamped = f"{quoted(name)} IS NULL"
    if window.start is None:
        text = f"{text} OR {unstamped}" if text else ""
    return f" WHERE {text}" if text else ""


def _bounds(
    table: str, type_name: str, family: Family, time: Time
) -> Callable[[datetime, bool], str]:
    """How an instant is written beside the watermark; True for a window's start."""
    unit = time.unit
    if unit in EPOCH_PER_SECOND and family in NUMBERS:
        return lambda at, _: str(_epoch(at, EPOCH_PER_SECOND[unit]))
    if unit in ("timestamp", "date"):
        if family == "timestamptz" and unit == "timestamp":
            return lambda at, _: f"TIMESTAMPTZ '{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}+00'"
        if family == "date" or (unit == "date" and family == "timestamp"):
            return lambda at, starts: f"DATE '{_day(at, time.zone, starts).isoformat()}'"
        if family == "timestamp":
            return lambda at, _: f"TIMESTAMP '{_local(at, time.zone):%Y-%m-%d %H:%M:%S}'"
    if unit == "text" and family == "text":
        return lambda at, starts: literal(_text(at, time, starts))
    raise TerminalWarehouseError(
        f"table {table}: watermark {time.column} is {type_name} in the database, "
        f"which cannot be read as unit {unit}"
    )


def _epoch(at: datetime, per_second: int) -> int:
    """Exact: windows begin and end at full seconds."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1) * per_second


def _local(at: datetime, zone: str) -> datetime:
    return at.astimezone(ZoneInfo(zone))


def _day(at: datetime, zone: str, starts: bool) -> date:
    """The local day a window starts in, or the day after the one it ends in."""
    if starts:
        return _local(at, zone).date()
    return _local(at - timedelta(microseconds=1), zone).date() + timedelta(days=1)


def _text(at: datetime, time: Time, starts: bool) -> str:
    shape = time.format or _ISO
    if "%H" in shape:
        return _local(at, time.zone).strftime(shape)
    return _day(at, time.zone, starts).strftime(shape)
