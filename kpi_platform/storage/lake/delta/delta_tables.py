"""Delta tables by the paths that the system knows them by, whatever their folders are called.

Belongs here: what deltalake, Polars and DuckDB each make of a blank, `%` or `*` in a folder's name.
Does not: reading and writing (lake.py).

deltalake tells of files by percent-encoded addresses, which Polars and DuckDB take for paths, and
DuckDB takes `*` and `?` for patterns, also where one file is meant: they get paths from here. Both
take a folder `env=prod` for a partition, wherever above the table it lies: they get a link's.
"""

import re
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from deltalake import DeltaTable

from kpi_platform.schemas.sources_file.addresses import AddressError

# deltalake finds no table there, and knows the folder behind any link: it decodes `%20` once too
# often, ends in a panic at brackets, and takes a backslash for a slash.
_UNFIT = re.compile(r"[\[\]|^\\\x00-\x1f\x7f]|%[0-9A-Fa-f]{2}")
_PATTERN = re.compile(r"[*?]")


class PlainTable(DeltaTable):
    """A Delta table whose `file_uris` are what `scan_delta` opens."""

    def __init__(self, address: str) -> None:
        """Raises what deltalake raises, TableNotFoundError if there is no table."""
        super().__init__(address)
        self._plain_root = f"{plain_root(address)}/"

    def file_uris(self, *filters: Any, **options: Any) -> list[str]:  # noqa: ANN401 (deltalake's own)
        """The files of this version, as `scan_delta` takes them."""
        found: list[str] = super().file_uris(*filters, **options)
        root, plain = self.table_uri.removeprefix("file://").rstrip("/") + "/", self._plain_root
        if root == plain:
            return found
        return [
            plain + path.removeprefix(root) if path.startswith(root) else path for path in found
        ]


def plain_root(address: str) -> str:
    """A folder's absolute path, or an address in S3 as it is."""
    if "://" in address:
        return address.rstrip("/")
    path = Path(address).resolve()
    # Behind a link that hides it, readers would see a partition.
    return str(Path(address).absolute() if "=" in str(path) else path)


def without_patterns(path: str) -> str:
    """The path as DuckDB takes it for this one, and not for a pattern."""
    return _PATTERN.sub(r"[\g<0>]", path)


def check_place(address: str) -> None:
    """Raises AddressError if no tables can be kept there, by what its folders are called."""
    root = address if "://" in address else str(Path(address).resolve())
    if _UNFIT.search(root):
        raise AddressError(
            f"{root!r}: no folder above the lake may have one of [ ] | ^ \\, a control character or"
            " % with two digits in its name"
        )


def readable_place(address: str) -> str:
    """The same place by a path in which readers see no partition: a link to the folder if `=` is in
    its path, which lasts as long as this process and makes the folder.

    Raises AddressError if there can be none.
    """
    if "://" in address or "=" not in plain_root(address):
        return address
    try:
        return str(_link(Path(address).resolve()))
    except OSError as error:
        reason = error.strerror or str(error)
        raise AddressError(f"{address!r}: = in a path is read by a link to it: {reason}") from None


@cache
def _links() -> "TemporaryDirectory[str]":
    return TemporaryDirectory(prefix="kpi-lakes-")


@cache
def _link(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    links = Path(_links().name)
    link = links / str(len(list(links.iterdir())))
    link.symlink_to(folder)
    return link
