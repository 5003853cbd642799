"""The landing zone: telemetry files in a folder or in S3, listed by source and ingest hour.

Belongs here: listing and reading objects. Does not: what is in them.
"""

import errno
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import obstore
from obstore.exceptions import BaseError, InvalidPathError, PermissionDeniedError
from obstore.store import LocalStore, ObjectStore, from_url

from kpi_platform.schemas.sources_file.addresses import AddressError, parse_place
from kpi_platform.schemas.texts.file_names import why_no_telemetry, writers_reason
from kpi_platform.schemas.texts.hidden_secrets import SafeError
from kpi_platform.storage.landing import odd_names
from kpi_platform.storage.landing.s3_words import said_of_s3

# What a folder above or of an hour is called, the landing zone's own included.
_FOLDER = re.compile(r"^(?:[^/]+(?:/\d{4}(?:/\d{2}){0,3})?)?$")
# No rights, no file, a loop of links, a damaged disk: others can be read all the same.
_OF_ONE_FILE = {
    errno.EACCES,
    errno.EPERM,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.EINVAL,
    errno.EIO,
}
_HOUR = re.compile(r"^(\d{4})/(\d{2})/(\d{2})/(\d{2})$")
# The clock of a file system may stand still for a while: two states of a file may look alike.
YOUNG_NANOSECONDS = 3_000_000_000
# A listing is waiting: the store answers many as soon as one.
LISTED_AT_A_TIME = 32
_BLOCK_BYTES = 8 * 1024 * 1024
# A wrong address must end in one clear line within seconds, not after minutes of retries.
RETRIES: "RetryConfig" = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import RetryConfig

T = TypeVar("T")


class LandingError(SafeError, ValueError):
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

    @property
    def arrived_at(self) -> datetime:
        """When it came to lie there: of a local file when the system last saw it change, as a copy
        keeps the time at which the original was written."""
        if not self.changed_ns:
            return self.modified_at
        return datetime.fromtimestamp(self.changed_ns // 1000 / 1_000_000, UTC)

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
        """Whether the name allows telemetry: an ending of ours or none that we know, and not what
        writers call their work in progress."""
        return not why_no_telemetry(self.path)


class Landing:
    """Read access to hourly files at `uri`: a folder or `s3://bucket/prefix`, as `setting` says."""

    def __init__(self, uri: str, setting: str = "KPI_LANDING_URI") -> None:
        try:
            self.uri = parse_place(uri)
        except AddressError as error:
            raise LandingError(f"{setting}: {error}") from None
        self._setting = setting
        self._store = _open(self.uri, setting)

    def folders(self) -> list[str]:
        """The source folders, sorted, but for those that writers make for what is no data."""
        names = self._guarded(self._folders)
        return sorted(name for name in names if not writers_reason(name))

    def list_hours(
        self, folder: str, hours: Iterable[datetime]
    ) -> dict[datetime, list[LandingFile]]:
        """Files of one source folder by ingest hour; every hour asked for is a key.

        A day of which several hours are asked for is listed once.
        """
        (found,) = self.list_folders([folder], hours).values()
        return found

    def list_folders(
        self, folders: Sequence[str], hours: Iterable[datetime]
    ) -> dict[str, dict[datetime, list[LandingFile]]]:
        """What `list_hours` finds in each of the folders.

        Many are listed at a time: hundreds of folders one after the other would take a store that
        answers in 60 ms half a minute for each day.
        """
        wanted = list(hours)
        files = {name: {hour: list[LandingFile]() for hour in wanted} for name in folders}
        places = [(name, prefix) for name in folders for prefix in _prefixes_for(wanted)]
        for (name, _), listed in zip(places, self._list_each(places), strict=True):
            for file in listed:
                if file.hour in files[name]:
                    files[name][file.hour].append(file)
        return files

    def _list_each(self, places: Sequence[tuple[str, str]]) -> Iterator[Iterator[LandingFile]]:
        prefixes = [f"{folder}/{prefix}" for folder, prefix in places]
        if len(prefixes) < 2:
            yield from map(self._list, prefixes)
            return
        with ThreadPoolExecutor(LISTED_AT_A_TIME, "listing") as executor:
            yield from executor.map(self._list, prefixes)

    def list_all(self) -> Iterator[LandingFile]:
        """Every object, whatever its name."""
        return self._list(None)

    def stream(self, path: str) -> Iterator[bytes]:
        """The bytes of a file in blocks. Raises FileNotFoundError if it is gone, PermissionError
        if it is this one file that cannot be read."""
        try:
            if isinstance(self._store, LocalStore):
                yield from _read(Path(self.uri) / path)
                return
            result = obstore.get(self._store, path)
            for block in result.stream(min_chunk_size=_BLOCK_BYTES):
                yield bytes(block)
        except (PermissionDeniedError, InvalidPathError) as error:
            raise PermissionError(f"{path}: {first_line(error)}") from None
        except OSError as error:
            if error.errno not in _OF_ONE_FILE:
                raise
            raise PermissionError(error.errno, error.strerror, path) from None

    def _folders(self) -> list[str]:
        if isinstance(self._store, LocalStore):
            return odd_names.folders(Path(self.uri))
        try:
            return list(obstore.list_with_delimiter(self._store)["common_prefixes"])
        except BaseError as error:
            if "invalid path" not in str(error):
                raise
            return odd_names.key_folders(self.uri)

    def _list(self, prefix: str | None) -> Iterator[LandingFile]:
        def read() -> list[LandingFile]:
            if isinstance(self._store, LocalStore):
                root = Path(self.uri)
                found = odd_names.walk(root, root / (prefix or ""))
                return [_file(meta, changed_ns=int(meta["version"] or 0)) for meta in found]
            try:
                pages = obstore.list(self._store, prefix, chunk_size=1000)
                return [_file(meta) for page in pages for meta in page if not self._is_marker(meta)]
            except BaseError as error:
                # One name that is no valid object path must not hide every other file.
                if "invalid path" not in str(error):
                    raise
                return [_file(meta) for meta in odd_names.keys(self.uri, prefix or "")]

        return iter(sorted(self._guarded(read), key=lambda file: file.path))

    def _is_marker(self, meta: "ObjectMeta") -> bool:
        """Whether S3 consoles put the object there to show a folder: its key ends in a slash, which
        the library does not tell."""
        is_local = isinstance(self._store, LocalStore)
        return not is_local and not meta["size"] and _FOLDER.match(meta["path"]) is not None

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


def first_line(error: BaseException) -> str:
    """The first line of an error's message: the rest is the driver's own debug text.

    What S3 is the matter with is said in words that name the setting.
    """
    return said_of_s3(error) or (str(error).strip().splitlines() or [type(error).__name__])[0]


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


def _file(meta: "ObjectMeta", changed_ns: int = 0) -> LandingFile:
    etag = str(meta["e_tag"] or "")
    return LandingFile(meta["path"], meta["size"], etag, meta["last_modified"], changed_ns)
