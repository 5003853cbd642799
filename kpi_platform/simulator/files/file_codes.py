"""The number of a file: its source, ingest hour, form, hour of origin and lane in one integer.

Belongs here: numbering files and naming them again. Does not: what is in them.
"""

from typing import NamedTuple

import polars as pl

from kpi_platform.simulator.world import all_sources

# What a file is: the usual one, one that comes hours late, one that comes twice.
PART, LATE, AGAIN = 0, 1, 2
_FORMS = ("part", "late", "again")
_HOURS = 1 << 20
CODE_COLUMNS = ("source_index", "hour", "form", "origin", "lane")


class FileOf(NamedTuple):
    """What a file code says; `hour` counts ingest hours from the start."""

    source: str
    hour: int
    form: int
    origin: int
    lane: int

    @property
    def stem(self) -> str:
        """The file's name without endings, the only one of its kind in its hour."""
        name = _FORMS[self.form]
        return f"{name}-{self.lane}" if self.form == PART else f"{name}-{self.origin}-{self.lane}"


def file_code() -> pl.Expr:
    """Return the file code of rows with CODE_COLUMNS; it sorts by source, then by hour."""
    source, hour, form, origin, lane = (pl.col(name).cast(pl.Int64) for name in CODE_COLUMNS)
    return (((source * _HOURS + hour) * 4 + form) * _HOURS + origin) * 2 + lane


def read_code(code: int) -> FileOf:
    """Return what `code` says."""
    rest, lane = divmod(code, 2)
    rest, origin = divmod(rest, _HOURS)
    rest, form = divmod(rest, 4)
    source, hour = divmod(rest, _HOURS)
    return FileOf(all_sources()[source][0], hour, form, origin, lane)


def source_of(code: pl.Expr) -> pl.Expr:
    """Return the name of the source of a file code."""
    names = dict(enumerate(source for source, _, _ in all_sources()))
    return (code // (2 * _HOURS * 4 * _HOURS)).replace_strict(names, return_dtype=pl.String)


def hour_of(code: pl.Expr) -> pl.Expr:
    """Return the ingest hour of a file code."""
    return (code // (2 * _HOURS * 4)) % _HOURS
