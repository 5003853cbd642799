"""Where the lake's tables lie, and their snapshots.

Belongs here: what can be asked of a table without its contract. Does not: rows (lake.py). A lookup
needs no contract, and loading those takes longer than the lookup.
"""

from pathlib import Path

import obstore
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from kpi_platform.schemas.sources_file.addresses import AddressError, parse_place
from kpi_platform.schemas.texts.hidden_secrets import SafeError
from kpi_platform.storage.lake.delta.delta_tables import check_place, readable_place
from kpi_platform.storage.lake.delta.snapshots import Snapshots
from kpi_platform.storage.landing.landing import RETRIES, first_line


class LakeError(SafeError, ValueError):
    """The lake cannot be used; the message is one line that names the setting."""


def open_store(uri: str) -> ObjectStore:
    """The objects below a folder (a path or `file://`) or `s3://bucket/prefix`."""
    if "://" in uri:
        return from_url(uri, retry_config=RETRIES)
    return LocalStore(str(Path(uri).resolve()))


class LakeRoot:
    """Delta tables at `<uri>/<table>`; `uri` is a folder or `s3://bucket/prefix`."""

    def __init__(self, uri: str) -> None:
        """Raises LakeError for an address that is neither a folder nor in S3."""
        try:
            self.uri = parse_place(uri).rstrip("/")
            check_place(self.uri)
            self.uri = readable_place(self.uri)
        except AddressError as error:
            raise LakeError(f"KPI_LAKE_URI: {error}") from None
        self._is_local = "://" not in self.uri
        self._snapshots = Snapshots(open_store)

    def path(self, table: str) -> str:
        """Where a table lives."""
        return f"{self.uri}/{table}"

    def open(self, table: str) -> DeltaTable | None:
        """The table's current snapshot, or None if it was never written.

        To be held as long as anything made of it is in use, as every lazy frame does. Raises
        LakeError if it cannot be read.
        """
        try:
            return self._snapshots.open(self.path(table))
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            raise LakeError(f"KPI_LAKE_URI: {self.path(table)}: {first_line(error)}") from None

    def tables(self) -> list[str]:
        """Every table there is, `published/...` included, sorted."""
        names = [*self._folders(""), *(f"published/{name}" for name in self._folders("published"))]
        return sorted(name for name in names if DeltaTable.is_deltatable(self.path(name)))

    def require(self) -> None:
        """Raises LakeError if no table was ever written: most likely the address is another's."""
        if not self.tables():
            raise LakeError(f"KPI_LAKE_URI: {self.uri}: holds no tables (yet)")

    def read_note(self, name: str) -> str | None:
        """The text of a small file beside the tables; None if there is none."""
        if self._is_local and not Path(self.uri).is_dir():
            return None
        try:
            found = obstore.get(open_store(self.uri), name).bytes()
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise LakeError(f"KPI_LAKE_URI: {self.uri}: {first_line(error)}") from None
        return bytes(found).decode(errors="replace")

    def write_note(self, name: str, text: str) -> None:
        """Replace a small file beside the tables at once."""
        try:
            obstore.put(open_store(self.uri), name, text.encode())
        except (BaseError, OSError) as error:
            raise LakeError(f"KPI_LAKE_URI: {self.uri}: {first_line(error)}") from None

    def _folders(self, below: str) -> list[str]:
        if self._is_local and not Path(self.path(below)).is_dir():
            return []
        try:
            store = open_store(self.path(below).rstrip("/"))
            return list(obstore.list_with_delimiter(store)["common_prefixes"])
        except (BaseError, OSError) as error:
            raise LakeError(f"KPI_LAKE_URI: {self.uri}: {first_line(error)}") from None
