"""What the sampled values of a column say: times and their unit, money, JSON, platforms.

Belongs here: evidence from values and types. Does not: names, and choosing between columns.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isfinite
from statistics import median

import polars as pl

from kpi_platform.schemas.sources_file.column_types import NUMBERS, Family, column_type
from kpi_platform.schemas.sources_file.source_values import EPOCH_PER_SECOND, TimeUnit

# Epochs of the years 2000 to 2100; other numbers are no times.
_EARLIEST, _LATEST = 946_684_800, 4_102_444_800
_ISO = re.compile(
    r"^\d{4}-\d\d-\d\d(?P<mark>[T ])\d\d:\d\d(:\d\d(\.\d+)?)?\s?(?P<offset>Z|[+-]\d\d:?\d\d)?$"
)
_DAY = re.compile(r"^\d{4}-\d\d-\d\d$")
_FORMATS = (
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %I:%M:%S %p",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y%m%d%H%M%S",
    "%Y%m%dT%H%M%SZ",
    "%d-%b-%Y %H:%M:%S",
)
_CENTS_ENDINGS = {0, 9, 49, 50, 90, 95, 99}


@dataclass(frozen=True)
class Candidate:
    """A column, or a member of the JSON it holds, with what is known of its values."""

    column: str
    type: str
    family: Family
    values: tuple[str, ...]
    path: tuple[str, ...] = ()
    is_key: bool = False

    @property
    def name(self) -> str:
        """What it is called: the member's name if it is one."""
        return self.path[-1] if self.path else self.column

    @property
    def is_number(self) -> bool:
        """Whether type or values are numeric."""
        return self.family in NUMBERS or (bool(self.values) and not self._not_numbers())

    def numbers(self) -> list[float]:
        """The values that are numbers."""
        return [number for number in map(_number, self.values) if number is not None]

    def _not_numbers(self) -> bool:
        return any(_number(value) is None for value in self.values)


@dataclass(frozen=True)
class TimeShape:
    """How a time is written; `offset` if each value has its own, `doubt` if another reading of
    the same values is possible."""

    unit: TimeUnit
    format: str | None = None
    has_offset: bool = False
    doubt: str = ""
    instants: tuple[datetime, ...] = field(default=())


def candidates(catalog: pl.DataFrame, sample: pl.DataFrame | None) -> list[Candidate]:
    """The columns of one table, and after them the members of its JSON columns."""
    columns: list[Candidate] = []
    members: list[Candidate] = []
    for column, kind, is_key in catalog.select("column", "type", "is_key").iter_rows():
        values = _values(sample, column)
        family = column_type(kind).family
        if family == "json" or (family in ("text", "nested") and _are_objects(values)):
            members += _members(column, kind, values)
            family = "json"
        columns.append(Candidate(column, kind, family, values, is_key=is_key))
    return columns + members


def time_shape(candidate: Candidate) -> TimeShape | None:
    """How the candidate holds times; None if it does not."""
    if candidate.path == () and candidate.family in ("timestamp", "timestamptz"):
        absolute = candidate.family == "timestamptz"
        return TimeShape("timestamp", has_offset=absolute, instants=_iso_instants(candidate.values))
    if candidate.family == "date":
        return TimeShape("date")
    if candidate.is_number:
        return _epoch(candidate)
    return _text_time(candidate.values) if candidate.values else None


def looks_like_cents(candidate: Candidate) -> bool:
    """Whole numbers, most of which end as prices in cents do."""
    numbers = candidate.numbers()
    whole = [int(abs(n)) for n in numbers if n == int(n)]
    if not whole or len(whole) < len(numbers) or median(whole) < 49:
        return False
    return sum(n % 100 in _CENTS_ENDINGS for n in whole) >= 0.6 * len(whole)


def distinct(candidate: Candidate) -> list[str]:
    """The distinct values, sorted."""
    return sorted(set(candidate.values))


def is_unique(candidate: Candidate, rows: int) -> bool:
    """Whether every sampled row has another value."""
    return rows > 1 and len(candidate.values) == rows == len(set(candidate.values))


def _values(sample: pl.DataFrame | None, column: str) -> tuple[str, ...]:
    if sample is None or column not in sample.columns:
        return ()
    return tuple(value for value in sample[column].drop_nulls() if value.strip())


def _are_objects(values: Sequence[str]) -> bool:
    return bool(values) and all(isinstance(_decoded(value), dict) for value in values[:20])


def _decoded(text: str) -> object:
    try:
        return json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return None


def _members(column: str, kind: str, values: Sequence[str]) -> list[Candidate]:
    texts_by_path: dict[tuple[str, ...], list[str]] = {}
    for value in values:
        for path, text in _scalars(_decoded(value), ()):
            texts_by_path.setdefault(path, []).append(text)
    return [
        Candidate(column, kind, "text", tuple(texts), path) for path, texts in texts_by_path.items()
    ]


def _scalars(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, dict) and len(path) < 3:
        for name, inner in value.items():
            yield from _scalars(inner, (*path, name))
    elif path and isinstance(value, str) and value.strip():
        yield path, value


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None


def _epoch(candidate: Candidate) -> TimeShape | None:
    numbers = [number for number in candidate.numbers() if number]
    for unit, per_second in EPOCH_PER_SECOND.items():
        inside = [n for n in numbers if _EARLIEST * per_second <= n < _LATEST * per_second]
        if numbers and len(inside) >= 0.9 * len(numbers):
            instants = [datetime.fromtimestamp(n / per_second, UTC) for n in inside]
            return TimeShape(unit, has_offset=True, instants=tuple(instants))  # type: ignore[arg-type]
    return None


def _text_time(values: Sequence[str]) -> TimeShape | None:
    if all(_DAY.match(value) for value in values):
        return TimeShape("text", "%Y-%m-%d")
    marks = [_ISO.match(value) for value in values]
    if all(marks):
        matches = [mark for mark in marks if mark]
        is_blank = matches[0]["mark"] == " "
        has_offset = all(mark["offset"] for mark in matches)
        shape = "%Y-%m-%d %H:%M:%S" if is_blank and not has_offset else None
        if shape and not all(len(value) == 19 for value in values):
            shape = None
        return TimeShape("text", shape, has_offset, instants=_iso_instants(values))
    fitting = [shape for shape in _FORMATS if all(_parsed(v, shape) for v in values)]
    if not fitting:
        return None
    doubt = f"could also be {fitting[1]}" if len(fitting) > 1 else ""
    instants = tuple(at for at in (_parsed(v, fitting[0]) for v in values) if at)
    return TimeShape("text", fitting[0], doubt=doubt, instants=instants)


def _parsed(text: str, shape: str) -> datetime | None:
    try:
        return datetime.strptime(text.strip(), shape).replace(tzinfo=UTC)
    except ValueError:
        return None


def _iso_instants(values: Sequence[str]) -> tuple[datetime, ...]:
    instants = []
    for value in values:
        # PostgreSQL writes offsets of full hours in two digits.
        text = re.sub(r"([+-]\d\d)$", r"\1:00", value.strip())
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            return ()
        instants.append(at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC))
    return tuple(instants)
