"""Files of the lake that cannot be read: finding them, and saying what mends them.

Belongs here: what of a table is damaged. Does not: mending it, and rows that can be read but are
not what they should be, which only a build from scratch tells.
"""

from collections.abc import Collection, Iterator, Sequence
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
from kpi_platform.storage.lake.lake import Lake, LakeError, hours_expression
from kpi_platform.storage.lake.lake_files import files_of, scan_files
from kpi_platform.storage.landing.landing import first_line

LOG = "_delta_log"
# What reading a damaged file or log raises; a panic of the reader is no Exception.
READ_ERRORS = (PolarsError, PanicException, DeltaError, ArrowException, OSError, LakeError)
_ROWS_AT_A_TIME = 100_000
_DAY = INGEST_HOUR[0]


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
    lake: Lake, table: str, hours: Collection[datetime] | None = None
) -> list[Damage]:
    """What cannot be read of a table: each file is read whole, those of these hours or all.

    Raises LakeError if the lake itself cannot be reached.
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
    return list(_damaged(lake, table, files))


def _may_be_of(files: pl.DataFrame, hours: Collection[datetime]) -> pl.Expr:
    if set(INGEST_HOUR) <= set(files.columns):
        return hours_expression(hours)
    if _DAY in files.columns:
        return pl.col(_DAY).is_in(sorted({hour.date() for hour in hours}))
    return pl.lit(value=True)


def _damaged(lake: Lake, table: str, files: pl.DataFrame) -> Iterator[Damage]:
    for number in range(files.height):
        file = files[number]
        try:
            _read(lake, table, file)
        except READ_ERRORS as error:
            yield Damage(table, file["path"].item(), _reason(error), *_span(file))


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
    """What explains that an hour's work failed; tables without hours are looked through once."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._known: dict[str, list[Damage]] = {}

    def of(self, hours: Sequence[datetime], error: BaseException) -> str:
        """What is damaged of what these hours need, in one line; empty if the error is another's,
        or nothing is."""
        if not isinstance(error, READ_ERRORS):
            return ""
        try:
            found = [item for table in TABLES for item in self._of(table, hours)]
        except (LakeError, BaseError, OSError):
            return ""
        return "; ".join(item.line for item in found if item.meets(hours))

    def _of(self, table: str, hours: Sequence[datetime]) -> list[Damage]:
        if _DAY in TABLES[table].partition_by:
            return damaged_files(self._lake, table, hours)
        if table not in self._known:
            self._known[table] = damaged_files(self._lake, table)
        return self._known[table]
