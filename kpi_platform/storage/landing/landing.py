"""The landing zone: telemetry files in a folder or in S3, listed by source and ingest hour.

Belongs here: listing and reading objects. Does not: what is in them.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlparse

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from kpi_platform.storage.landing.local_files import (
    YOUNG_NANOSECONDS,
    local_etag,
    walk_files,
)

READABLE = re.compile(r"\.(tsv|jsonl)(\.(gz|zst))?$")
_HOUR = re.compile(r"^(\d{4})/(\d{2})/(\d{2})/(\d{2})$")
_BLOCK_BYTES = 8 * 1024 * 1024
# A wrong address must end in one clear line within seconds, not after minutes of retries.
RETRIES: "RetryConfig" = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import RetryConfig

T = TypeVar("T")


class LandingError(ValueError):
    """The landing zone cannot be used; the message is one line that names the setting."""


@dataclass(frozen=True)
class LandingFile:
    """One object below the landing root: where it is and what identifies its contents."""

    path: str
    size: int
    etag: str
    modified_at: datetime
    changed_ns: int = 0

    @property
    def identity(self) -> str:
        """How it looks now: of a local file also when the system last saw it change, which a
        writer cannot set back as it can size and time."""
        return (
            f"{self.size} {self.etag} {self.changed_ns}"
            if self.changed_ns
            else f"{self.size} {self.etag}"
        )

    def is_young(self, now_ns: int) -> bool:
        """Whether it was changed so short a time before `now_ns` that it could change once more
        without looking different. Objects in S3 have hashes for ETags."""
        return self.changed_ns > now_ns - YOUNG_NANOSECONDS

    @property
    def folder(self) -> str:
        """The source folder: the first part of the path."""
        return self.path.split("/", 1)[0]

    @property
    def hour(self) -> datetime | None:
        """The ingest hour of the file's folder, or None if the folder is no valid hour."""
        match = _HOUR.match(self.path.partition("/")[2].rpartition("/")[0])
        if match is None:
            return None
        try:
            year, month, day, hour = (int(group) for group in match.groups())
            return datetime(year, month, day, hour, tzinfo=UTC)
        except ValueError:
            return None

    @property
    def is_readable(self) -> bool:
        """Whether the name says telemetry; hidden files are somebody's work in progress."""
        name = self.path.rpartition("/")[2]
        return not name.startswith((".", "_")) and READABLE.search(name) is not None


class Landing:
    """Read access to hourly files at `uri`: a folder or `s3://bucket/prefix`, as `setting` says."""

    def __init__(self, uri: str, setting: str = "KPI_LANDING_URI") -> None:
        self.uri = uri
        self._setting = setting
        self._store = _open(uri, setting)

    def folders(self) -> list[str]:
        """The source folders, sorted."""
        return sorted(self._guarded(self._prefixes))

    def list_hours(
        self, folder: str, hours: Iterable[datetime]
    ) -> dict[datetime, list[LandingFile]]:
        """Files of one source folder by ingest hour; every hour asked for is a key.

        A day of which several hours are asked for is listed once.
        """
        found: dict[datetime, list[LandingFile]] = {hour: [] for hour in hours}
        for prefix in _prefixes_for(found):
            for file in self._list(f"{folder}/{prefix}"):
                if file.hour in found:
                    found[file.hour].append(file)
        return found

    def list_all(self) -> Iterator[LandingFile]:
        """Every object, whatever its name."""
        return self._list(None)

    def stream(self, path: str) -> Iterator[bytes]:
        """The bytes of a file in blocks. Raises FileNotFoundError if it is gone."""
        if isinstance(self._store, LocalStore):
            yield from _read(Path(self.uri) / path)
            return
        result = obstore.get(self._store, path)
        for block in result.stream(min_chunk_size=_BLOCK_BYTES):
            yield bytes(block)

    def _prefixes(self) -> list[str]:
        if isinstance(self._store, LocalStore):
            named = (path.name for path in Path(self.uri).iterdir() if path.is_dir())
            return [name for name in named if _shown(name) == name]
        try:
            return list(obstore.list_with_delimiter(self._store)["common_prefixes"])
        except BaseError as error:
            if "invalid path" not in str(error):
                raise
            paths = (file.path.split("/") for file in _keys(self.uri, ""))
            return sorted({parts[0] for parts in paths if len(parts) > 1})

    def _list(self, prefix: str | None) -> Iterator[LandingFile]:
        def read() -> list[LandingFile]:
            if isinstance(self._store, LocalStore):
                return list(_local_files(Path(self.uri), prefix or ""))
            try:
                pages = obstore.list(self._store, prefix, chunk_size=1000)
                return [_file(meta) for page in pages for meta in page]
            except BaseError as error:
                # One name that is no valid object path must not hide every other file.
                if "invalid path" not in str(error):
                    raise
                return list(_keys(self.uri, prefix or ""))

        return iter(sorted(self._guarded(read), key=lambda file: file.path))

    def _guarded(self, call: Callable[[], list[T]]) -> list[T]:
        try:
            return call()
        except (BaseError, OSError) as error:
            raise LandingError(f"{self._setting}: {self.uri}: {first_line(error)}") from None


def _read(path: Path) -> Iterator[bytes]:
    """The bytes of a local file; the object store's way of reading one is ten times slower."""
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK_BYTES):
            yield block


def _local_files(root: Path, prefix: str) -> Iterator[LandingFile]:
    """The files below a folder; what cannot be read is named so that a check shows it."""
    for path, found in walk_files(root, prefix):
        if found is None:
            yield LandingFile(f"{_shown(path)} (unreadable folder)", 0, "", datetime.now(UTC))
        else:
            modified = datetime.fromtimestamp(found.st_mtime, UTC)
            yield LandingFile(
                _shown(path), found.st_size, local_etag(found), modified, found.st_ctime_ns
            )


def _keys(uri: str, prefix: str) -> Iterator[LandingFile]:
    """The objects below a prefix as S3 itself names them; folder markers are no files."""
    import boto3  # Takes a second, and is hardly ever needed.

    address = urlparse(uri)
    root = f"{address.path.strip('/')}/".lstrip("/")
    pages = boto3.client("s3").get_paginator("list_objects_v2")
    for page in pages.paginate(Bucket=address.netloc, Prefix=root + prefix):
        for found in page.get("Contents", []):
            if not found["Key"].endswith("/"):
                name = _shown(found["Key"].removeprefix(root))
                yield LandingFile(name, found["Size"], found["ETag"], found["LastModified"])


def _shown(name: str) -> str:
    """A file's name; one that cannot be asked for is marked, so that it is listed but not read."""
    if name.isprintable() and not {"", ".", ".."} & set(name.split("/")):
        return name
    return f"{ascii(name)[1:-1]} (unreadable name)"


def first_line(error: BaseException) -> str:
    """The first line of an error's message: the rest is the driver's own debug text."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _open(uri: str, setting: str) -> ObjectStore:
    try:
        if "://" in uri:
            return from_url(uri, retry_config=RETRIES)
        if not Path(uri).is_dir():
            raise LandingError(f"{setting}: {uri}: no such folder")
        return LocalStore(str(Path(uri).resolve()))
    except (BaseError, ValueError) as error:
        if isinstance(error, LandingError):
            raise
        raise LandingError(f"{setting}: {uri}: {first_line(error)}") from None


def _prefixes_for(hours: Iterable[datetime]) -> list[str]:
    by_day: dict[str, list[datetime]] = {}
    for hour in hours:
        by_day.setdefault(hour.strftime("%Y/%m/%d"), []).append(hour)
    return [
        day if len(wanted) > 1 else wanted[0].strftime("%Y/%m/%d/%H")
        for day, wanted in sorted(by_day.items())
    ]


def _file(meta: "ObjectMeta") -> LandingFile:
    return LandingFile(meta["path"], meta["size"], str(meta["e_tag"] or ""), meta["last_modified"])
