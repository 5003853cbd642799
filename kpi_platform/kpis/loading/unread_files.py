"""Hours that ran before a source was known, in which files of it lie all the same.

Belongs here: looking for them, once for each source that is new. Does not: what follows, and files
that come later, which sensors and the daily listing see.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from kpi_platform.engine.platform import Platform
from kpi_platform.schemas.sources_file.sources import Source
from kpi_platform.storage.landing.landing import Landing, LandingError, LandingFile


class UnreadFiles:
    """Where each source's files lie, asked by hours."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._sources = {source.key: source for _, _, source in platform.sources.walk()}

    def hours(self, key: str, hours: Sequence[datetime]) -> list[datetime]:
        """Those of these hours (UTC, naive) whose folder holds files of the source.

        None for a warehouse, which has no files, and for a place that cannot be listed: the runs
        themselves say so.
        """
        try:
            place = self._place(self._sources[key])
            if place is None:
                return []
            landing, folder = place
            listed = landing.list_hours(folder, [hour.replace(tzinfo=UTC) for hour in hours])
        except LandingError:
            return []
        hours_with_data = (hour for hour, files in listed.items() if any(map(_is_data, files)))
        return sorted(hour.replace(tzinfo=None) for hour in hours_with_data)

    def _place(self, source: Source) -> tuple[Landing, str] | None:
        if source.telemetry is not None:
            return self._platform.landing, source.telemetry
        if source.feed is not None and source.feed.folder is not None:
            return self._platform.open_feeds(), source.feed.folder
        return None


def _is_data(file: LandingFile) -> bool:
    return not file.path.rpartition("/")[2].startswith((".", "_"))
