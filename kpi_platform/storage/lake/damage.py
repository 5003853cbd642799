"""Files of the lake that cannot be read: finding them, and saying what mends them.

Belongs here: what of a table is damaged. Does not: mending it, and rows that can be read but are
not what they should be, which only a build from scratch tells.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from urllib.parse import unquote

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from obstore.exceptions import BaseError
from polars.exceptions import PanicException, PolarsError
from pyarrow import ArrowException

from kpi_platform.schemas.tables import INGEST_HOUR, TABLES
from kpi_platform.settings import PARTITION_FORMAT
from kpi_platform.storage.lake.delta.lake_files import files_of, scan_files
from kpi_platform.storage.lake.lake import Lake, LakeError, hours_expression
from kpi_platform.storage.landing.landing import first_line

LOG = "_delta_log"
# What reading a damaged file or log raises; a panic of the reader is no Exception.
READ_ERRORS = (PolarsError, PanicException, DeltaError, ArrowException, OSError, LakeError)
_ROWS_AT_A_TIME = 100_000
_DAY = INGEST_HOUR[0]
# How many hours around an hour its sessions are looked for.
_REACH = range(-24, 25)


@dataclass(frozen=True)
class Damage:
    """A file of a table, or its log (`LOG`), that cannot be read, and why.

    `first` and `last`: the ingest hours that it is of; None if the table is not kept by them.
    """

    table: str
    file: str
    reason: str
    first: datetime | None = None
    last: datetime | None = None

    @property
    def command(self) -> str:
        """The command that makes these hours of the table anew."""
        span = ""
        if self.first is not None and self.last is not None:
            span = f" --from {self.first:{PARTITION_FORMAT}} --to {self.last:{PARTITION_FORMAT}}"
        return f"kpi rebuild {self.table}{span}"

    @property
    def line(self) -> str:
        """Table, file, reason and command in one line."""
        return f"{self.table} is damaged: {self.file}: {self.reason}; mend it: {self.command}"

    def meets(self, hours: Collection[datetime]) -> bool:
        """Whether it is of any of these hours, or may be of any."""
        if self.first is None or self.last is None:
            return True
        return any(self.first <= hour <= self.last for hour in hours)


def damaged_files(
    lake: Lake,
    table: str,
    hours: Collection[datetime] | None = None,
    known: dict[str, Damage | None] | None = None,
) -> list[Damage]:
    """What cannot be read of a table: each file is read whole, those of these hours or all.

    `known`: by address, what was found of files before, which are not read again.
    """
    try:
        snapshot = DeltaTable(lake.path(table))
    except TableNotFoundError:
        return []
    except (DeltaError, OSError) as error:
        # If not even the folder can be listed, it is no damage.
        lake.tables()
        return [Damage(table, LOG, first_line(error))]
    files = files_of(snapshot)
    if hours is not None:
        files = files.filter(_may_be_of(files, hours))
    seen = {} if known is None else known
    damages = [_damage(lake, table, files[number], seen) for number in range(files.height)]
    return [item for item in damages if item is not None]


def _may_be_of(files: pl.DataFrame, hours: Collection[datetime]) -> pl.Expr:
    if set(INGEST_HOUR) <= set(files.columns):
        return hours_expression(hours)
    if _DAY in files.columns:
        return pl.col(_DAY).is_in(sorted({hour.date() for hour in hours}))
    return pl.lit(value=True)


def _damage(
    lake: Lake, table: str, file: pl.DataFrame, seen: dict[str, Damage | None]
) -> Damage | None:
    """What is wrong with a file (a row of `files_of`); None if it can be read."""
    path = file["path"].item()
    address = f"{lake.path(table)}/{path}"
    if address not in seen:
        seen[address] = None
        try:
            _read(lake, table, file)
        except READ_ERRORS as error:
            seen[address] = Damage(table, path, _reason(error), *_span(file))
    return seen[address]


def _read(lake: Lake, table: str, file: pl.DataFrame) -> None:
    root = lake.path(table)
    if table in TABLES:
        rows = scan_files(root, TABLES[table], file)
    else:
        rows = pl.scan_parquet([f"{root}/{unquote(file['path'].item())}"], glob=False)
    count = sum(part.height for part in rows.collect_batches(chunk_size=_ROWS_AT_A_TIME))
    told = file["num_records"].item()
    if told is not None and count != told:
        raise OSError(f"has {count:,} rows, not {told:,}")


def _reason(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return "the file is gone"
    return f"it cannot be read: {first_line(error)}" if str(error) else "it cannot be read"


def _span(file: pl.DataFrame) -> tuple[datetime | None, datetime | None]:
    if _DAY not in file.columns:
        return None, None
    day: date = file[_DAY].item()
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    if INGEST_HOUR[1] in file.columns:
        hour = start + timedelta(hours=file[INGEST_HOUR[1]].item())
        return hour, hour
    return start, start + timedelta(hours=23)


class Damages:
    """What explains that hours' work failed; no file is looked into twice."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._known: dict[str, Damage | None] = {}

    def of(self, table: str, hours: Sequence[datetime], error: BaseException) -> str:
        """What is damaged of what these hours of a table need, in one line; empty if the error is
        another's, or nothing is.

        What lies near is looked at first, as far as sessions reach, then the table as a whole.
        """
        if not isinstance(error, READ_ERRORS):
            return ""
        near = [hour + timedelta(hours=number) for hour in hours for number in _REACH]
        try:
            for tables, some in ((TABLES, hours), (TABLES, near), ([table], None)):
                damages = [item for name in tables for item in self._of(name, some)]
                if damages:
                    return "; ".join(item.line for item in damages)
        except (LakeError, BaseError, OSError):
            # The lake cannot be reached: the error itself says so.
            pass
        return ""

    def _of(self, table: str, hours: Collection[datetime] | None) -> list[Damage]:
        return damaged_files(self._lake, table, hours, self._known)
