"""What a full listing of a place where files arrive says: files out of place, hours unread.

Belongs here: pure judgement of listed files. Does not: listing them, and asking for runs.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from kpi_platform.arrivals.closed_hours import SUCCESS
from kpi_platform.arrivals.watching.arrivals_watch import NO_FILES
from kpi_platform.orchestration.partitions import HOUR
from kpi_platform.schemas.sources_file.sources import Sources
from kpi_platform.schemas.texts.file_names import WRITERS, writers_reason
from kpi_platform.storage.landing.landing import LandingFile

MOST_NAMES = 50


@dataclass(frozen=True)
class Listing:
    """The landing zone at one moment.

    `files`: those of each partition that are read.

    `hours`: fingerprint of each partition's readable files. `left`: path -> why no hour reads the
    file, in order of paths; for names that writers give to what is unfinished or
    no data the reason is one of WRITERS.
    """

    hours: Mapping[datetime, str]
    left: Mapping[str, str]
    files: Mapping[datetime, Sequence[LandingFile]] = field(default_factory=dict)

    @property
    def out_of_place(self) -> list[str]:
        """Paths that somebody must look at: all that are left but what writers mean to be."""
        return [path for path, reason in self.left.items() if reason not in WRITERS]

    def figures(self) -> dict[str, int | str]:
        """Counts by reason, and up to 50 of the files with theirs, those of writers last."""
        named = sorted(self.left.items(), key=lambda item: item[1] in WRITERS)[:MOST_NAMES]
        return {
            "files_left": len(self.left),
            **Counter(reason.replace(" ", "_") for reason in self.left.values()),
            "files": "\n".join(f"{path} ({reason})" for path, reason in named),
        }


def judge_listing(
    files: Iterable[LandingFile],
    why_not: Callable[[LandingFile], str],
    fingerprint: Callable[[Sequence[LandingFile]], str],
    start: datetime,
    now: datetime,
) -> Listing:
    """Sort every file to its hour or to the reason why no hour reads it.

    `why_not`: why a file is not read, whatever its hour; `fingerprint`: of an hour's files.
    The hour that runs at `now` is no partition yet; its files wait and are not out of place.
    """
    by_hour: dict[datetime, list[LandingFile]] = defaultdict(list)
    left = {}
    for file in files:
        hour = file.hour
        reason = _reason(file, hour, why_not, start, now)
        if reason:
            left[file.path] = reason
        # It is no data, but it may say that an hour is whole.
        is_said = reason in {"", *WRITERS} and file.path.endswith(f"/{SUCCESS}")
        if reason and not is_said:
            continue
        if hour is not None and start <= hour and hour + HOUR <= now:
            by_hour[hour].append(file)
    hours = {hour: fingerprint(found) for hour, found in by_hour.items()}
    return Listing(hours, left, by_hour)


def _reason(
    file: LandingFile,
    hour: datetime | None,
    why_not: Callable[[LandingFile], str],
    start: datetime,
    now: datetime,
) -> str:
    if reason := writers_reason(file.path) or why_not(file):
        return reason
    if hour is None:
        return "no valid hour"
    if hour < start:
        return "before the first partition"
    return "in the future" if hour > now else ""


def unread_hours(
    listing: Listing,
    read: Mapping[datetime, str],
    ran: Collection[datetime],
    due: Sequence[datetime],
) -> list[datetime]:
    """The hours that a run should bring up to date, in order.

    Hours whose files are not what was read (new, rewritten, or of a run that failed), and hours
    that are `due` and not among those that `ran`, with files or without, up to the newest that is
    known: an hour never run has arrived for nobody. What is newer waits for the schedule. Hours
    whose files are gone hold what they held. `read`: as `read_state` gives it; `ran`: of any kind
    of source.
    """
    changed = {hour for hour, value in listing.hours.items() if value != read.get(hour, NO_FILES)}
    newest = max({*ran, *listing.hours}, default=None)
    never_run = {hour for hour in due if newest is not None and hour <= newest}.difference(ran)
    return sorted(changed | never_run)


def unnamed_folders(folders: Iterable[str], sources: Sources) -> list[str]:
    """The landing folders that no source names; they are loaded all the same."""
    return sorted(set(folders) - set(sources.folders().values()))


def why_nothing_comes(place: str, folders: Iterable[str], sources: Sources) -> list[str]:
    """One line each on the folders that sources name and `place` does not have, or on its having
    none at all: a misspelt name and a quiet studio look alike from inside an hour."""
    found = set(folders)
    if not found and (sources.folders() or not any(sources.walk())):
        return [f"KPI_LANDING_URI: {place}: holds no folder with files: is it the right place?"]
    absent = sorted(item for item in sources.folders().items() if item[1] not in found)
    return [f"source {key}: no folder {folder} in {place} (yet)" for key, folder in absent]
