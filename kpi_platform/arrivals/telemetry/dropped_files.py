"""What files mean to days that are sealed, and to an hour whose lines are gone.

Belongs here: judging them. Does not: listing and reading them, and how an hour loses its lines
(`retention/`).

The lines of such an hour cannot be read back: a file that takes the place of another, or that goes,
can only be had by reading all files of the hour again. If one of them is not there, the change is
refused, and what the tables hold stays.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

from kpi_platform.arrivals.file_hashes import UNOPENABLE, hash_file
from kpi_platform.arrivals.hour_files import HourFiles, Seen, held_records, judge_files
from kpi_platform.engine.books.file_ledger import REFUSED, FileRecord
from kpi_platform.engine.books.seals import LateFiles
from kpi_platform.storage.landing.landing import Landing, LandingFile

Owners = Callable[[str], Mapping[str, str]]


def as_they_were_owned(known: Sequence[FileRecord], owners: Owners) -> Owners:
    """Of files that were read the sources and settings that they were read under: no other version
    of ours reads them again; of others those of now."""
    read: dict[str, dict[str, str]] = {}
    for record in known:
        if record.is_current:
            read.setdefault(record.path, {})[record.source] = record.read_by
    return lambda path: read.get(path) or owners(path)


def judge_dropped(
    listed: Sequence[LandingFile],
    known: Sequence[FileRecord],
    owners: Owners,
    overwriting: Collection[str],
    *,
    may_go: bool,
) -> HourFiles:
    """Judge the files of an hour whose lines are gone; the records are the truth about it."""
    owned = as_they_were_owned(known, owners)
    found = judge_files(listed, known, owned, overwriting, may_go=may_go)
    found.known = list(known)
    waiting = {record.path for record in known if record.state == REFUSED}
    by_path = {file.path: file for file in listed}
    # A file that was refused in place of this one: it may be taken by now.
    for record in [r for r in found.kept if r.path in waiting and r.state == "held"]:
        found.kept.remove(record)
        found.look.append(Seen(by_path[record.path], [record]))
    return found


def corrections(found: HourFiles) -> list[str]:
    """The paths whose lines the hour would have to give back."""
    replaced = [
        seen.file.path for seen in found.look if any(record.holds_lines for record in seen.known)
    ]
    return sorted({*replaced, *(record.path for record in found.leaving if record.holds_lines)})


def can_be_read_anew(found: HourFiles, landing: Landing) -> bool:
    """Whether every file that the hour is to hold is there and can be opened."""
    if any(record.holds_lines for record in found.missing):
        return False
    paths = [*(seen.file.path for seen in found.look), *(record.path for record in found.kept)]
    return all(_hash(landing, path) for path in paths)


def read_all(found: HourFiles, listed: Sequence[LandingFile]) -> None:
    """Have every file of the hour looked into."""
    by_path = {file.path: file for file in listed}
    kept: dict[str, list[FileRecord]] = {}
    for record in found.kept:
        kept.setdefault(record.path, []).append(record)
    found.look += [Seen(by_path[path], records) for path, records in kept.items()]
    found.kept, found.missing = [], []


def refuse(
    found: HourFiles, owners: Owners, overwriting: Collection[str], landing: Landing
) -> None:
    """Leave what the hour holds as it is: files in place of others are refused, files that were
    let go are held."""
    left = {record.source for record in found.leaving}
    for seen in list(found.look):
        path = seen.file.path
        is_listing = bool(left.intersection(overwriting).intersection(owners(path)))
        if not is_listing and not any(record.holds_lines for record in seen.known):
            continue
        found.look.remove(seen)
        found.kept += held_records(seen, "held", seen.file.identity)
        found.refused += [
            FileRecord(
                source,
                path,
                "telemetry",
                read_by,
                REFUSED,
                seen.file.size,
                _hash(landing, path),
                rows=0,
                identity=seen.file.identity,
            )
            for source, read_by in owners(path).items()
        ]
    found.missing += [
        replace(record, state="held", identity="", is_young=False)
        for record in found.leaving
        if record.holds_lines
    ]
    found.leaving = [record for record in found.leaving if not record.holds_lines]


def refused_days(
    found: HourFiles, hour: datetime, late: LateFiles, owners: Owners, overwriting: Collection[str]
) -> dict[str, frozenset[date]]:
    """Per file of any hour that is to be read, the sealed days whose lines it may not bring: those
    that were sealed when its name came."""
    refused = {}
    for seen in found.look:
        path, sources = seen.file.path, set(owners(seen.file.path))
        is_new = not found.came_before(path)
        # A newer listing stands in the place of the one before.
        before = [
            late.days_for(hour, record.path, is_new=False)
            for record in found.leaving
            if record.holds_lines and record.source in sources.intersection(overwriting)
        ]
        if is_new and before:
            refused[path] = frozenset.intersection(*before)
        else:
            refused[path] = late.days_for(hour, path, is_new=is_new)
    return refused


def _hash(landing: Landing, path: str) -> str:
    """A hash of the file's content; empty if it cannot be opened."""
    try:
        return hash_file(landing, path)
    except UNOPENABLE:
        return ""
