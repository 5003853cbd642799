"""The places where files arrive: which folders there are, and which of their files are read.

Belongs here: telemetry and feeds, as sensors and listings look at them. Does not: when they look,
and what follows.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import polars as pl

from kpi_platform.arrivals.feeds.feed_step import feed_folders, is_feed_file
from kpi_platform.arrivals.watching.arrivals_watch import (
    TELEMETRY,
    as_they_were_read,
    feeds_fingerprint,
    hour_fingerprint,
    newly_closed,
    read_fingerprints,
)
from kpi_platform.engine.platform import Platform
from kpi_platform.schemas.sources_file.sources import Kind
from kpi_platform.schemas.texts.file_names import why_no_telemetry
from kpi_platform.storage.lake.lake import hours_in
from kpi_platform.storage.landing.landing import LandingFile


class Telemetry:
    """Every folder of the landing zone."""

    kinds = TELEMETRY

    def __init__(self, parts: Platform) -> None:
        self._sources = parts.sources
        self.landing = parts.landing
        self.folders = parts.landing.folders()

    def fingerprint(self, files: Sequence[LandingFile]) -> str:
        """Of an hour's files, as the ledger's rows of it have them."""
        return hour_fingerprint(files, self._sources)

    def list_all(self) -> Iterable[LandingFile]:
        """Every file there is, those outside any folder included."""
        return self.landing.list_all()

    def why_not(self, file: LandingFile) -> str:
        """Why the file is not read, whatever its hour; empty if it is."""
        return why_no_telemetry(file.path)


def read_state(
    parts: Platform,
    what: "Telemetry | Feeds",
    files: Mapping[datetime, Sequence[LandingFile]],
    found: Mapping[datetime, str],
    hours: Collection[datetime] | None = None,
) -> dict[datetime, str]:
    """Per hour the fingerprint of the files that were read, equal to the one of `found` where
    nothing that lies there is unread; of these hours, or of all."""
    tables = ("hour_ledger", "file_ledger")
    ledger, ledger_of_files = (
        parts.lake.scan(name).collect() if hours is None else parts.lake.read_hours(name, hours)
        for name in tables
    )
    read = read_fingerprints(ledger, what.kinds)
    readable = {
        hour: [file for file in some if not what.why_not(file)] for hour, some in files.items()
    }
    entries = ledger_of_files.filter(pl.col("kind").is_in(what.kinds))
    as_read = as_they_were_read(readable, entries, parts.sources.overwriting())
    as_read -= newly_closed(files, ledger, parts.sources)
    by_file = hours_in(entries)
    others = {hour: value for hour, value in read.items() if hour not in set(by_file)}
    changed = {hour: "" for hour in by_file if hour in read}
    return others | changed | {h: found[h] for h in as_read if h in read and h in found}


class Feeds:
    """The folders that console and stream feeds name."""

    kinds: tuple[Kind, ...] = ("console", "stream")

    def __init__(self, parts: Platform) -> None:
        every = [*feed_folders(parts.sources, "console"), *feed_folders(parts.sources, "stream")]
        self._sources = {
            folder.name: [source.key for *_, source in folder.sources] for folder in every
        }
        self.folders = sorted(self._sources)
        # Without feeds there need not be a place for them.
        self.landing = parts.open_feeds() if self.folders else parts.landing

    def fingerprint(self, files: Sequence[LandingFile]) -> str:
        """Of an hour's files, as the ledger's rows of it have them."""
        return feeds_fingerprint([file for file in files if is_feed_file(file)], self._sources)

    def list_all(self) -> Iterable[LandingFile]:
        """Every file there is; none without feeds, whose place nobody then named."""
        return self.landing.list_all() if self.folders else ()

    def why_not(self, file: LandingFile) -> str:
        """Why the file is not read, whatever its hour; empty if it is."""
        if file.folder not in self._sources:
            return "no feed of this folder"
        return "" if is_feed_file(file) else "unknown ending"
