"""Which files of an hour have to be read, which stay as they were, and which are gone.

Belongs here: judging one hour's listing by what the ledger knows of it, and by the contents of
files where their looks do not tell. Does not: listing, reading lines, and writing the ledger.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kpi_platform.arrivals.file_hashes import UNOPENABLE, hash_file
from kpi_platform.engine.books.file_ledger import REFUSED, FileRecord, settled
from kpi_platform.storage.landing.landing import Landing, LandingFile

ADOPTED = "a release without a ledger of files"


@dataclass(frozen=True)
class Seen:
    """A file that is to be looked into, and its records (one of each source) if it was read
    before. `is_trusted`: the tables are known to hold what the records say."""

    file: LandingFile
    known: Sequence[FileRecord] = ()
    is_trusted: bool = True

    @property
    def was(self) -> FileRecord | None:
        """The record that says what it was when last read; None if it never was."""
        return self.known[0] if self.known else None


@dataclass
class HourFiles:
    """An hour's files: `kept` as they were read, `look` to be looked into, `missing` from the
    listing though they hold, `leaving` the tables with their lines, `past` without lines, `refused`
    because what they replace cannot be taken out any more.

    `known`: the ledger's records that this was judged by. `stored`: where the ledger's are lost,
    the paths that the tables hold lines of.
    """

    known: list[FileRecord] = field(default_factory=list)
    kept: list[FileRecord] = field(default_factory=list)
    look: list[Seen] = field(default_factory=list)
    missing: list[FileRecord] = field(default_factory=list)
    leaving: list[FileRecord] = field(default_factory=list)
    past: list[FileRecord] = field(default_factory=list)
    refused: list[FileRecord] = field(default_factory=list)
    stored: frozenset[str] = frozenset()

    def came_before(self, path: str) -> bool:
        """Whether lines of a file of this name were taken before, whatever is left of them."""
        return path in self.stored or any(r.holds_lines for r in self.known if r.path == path)

    def marks(self, hashed: Mapping[str, str]) -> list[str]:
        """What the hour's input consists of, file by file: equal if there is nothing to do.

        `hashed`: the contents of files that were too young to be told by their looks.
        """
        kept = [f"{file.path}\n{file.identity}" for file in self.kept]
        look = [
            f"{seen.file.path}\n{seen.file.identity}{hashed.get(seen.file.path, '')}"
            for seen in self.look
        ]
        missing = [f"{file.path}\n{file.content_hash}\nmissing" for file in self.missing]
        return sorted({*kept, *look, *missing})


def judge_files(
    listed: Sequence[LandingFile],
    known: Sequence[FileRecord],
    owners: Callable[[str], Mapping[str, str]],
    overwriting: Collection[str],
    *,
    may_go: bool,
    is_trusted: bool = True,
) -> HourFiles:
    """Judge the files listed of an hour by the ledger's records of it.

    `owners`: of a path, its sources and under which settings each would read it now.
    `overwriting`: sources of which only the newest listing holds. `may_go`: a file of this hour
    may be gone without a word. Unless `is_trusted`, the tables may hold anything of what the
    records say, as after a run that was killed: what is there is to be read.
    """
    found = HourFiles(known=list(known))
    by_path: dict[str, list[FileRecord]] = defaultdict(list)
    for record in known:
        if record.is_current:
            by_path[record.path].append(record)
        elif record.holds_lines:
            found.leaving.append(record)
        elif record.state != REFUSED:
            # What was refused is judged anew.
            found.past.append(record)
    for file in listed:
        records = by_path.pop(file.path, [])
        if is_trusted and _are_as_they_were(records, file, owners(file.path)):
            found.kept += records
        else:
            found.look.append(Seen(file, records, is_trusted))
    delivered = {source for file in listed for source in owners(file.path)}
    for records in by_path.values():
        for record in records:
            _missing(found, record, overwriting, delivered, may_go=may_go)
    return found


def _are_as_they_were(
    records: Sequence[FileRecord], file: LandingFile, owners: Mapping[str, str]
) -> bool:
    return {record.source: record.read_by for record in records} == dict(owners) and all(
        record.identity == file.identity for record in records
    )


def _missing(
    found: HourFiles,
    record: FileRecord,
    overwriting: Collection[str],
    delivered: Collection[str],
    *,
    may_go: bool,
) -> None:
    """Place a file that is not there any more."""
    if record.state == "unreadable":
        # It never held anything.
        return
    if record.source in overwriting and record.source in delivered:
        found.leaving.append(replace(record, state="replaced"))
    elif record.state in ("held", "forgotten"):
        found.missing.append(replace(record, identity="", is_young=False))
    else:
        state = "forgotten" if may_go else "held"
        found.missing.append(replace(record, state=state, identity="", is_young=False))


def recounted(record: FileRecord, counted: tuple[int, int]) -> FileRecord:
    """A record with as many lines, and as many of them in quarantine, as the tables hold."""
    lines, bad = counted
    return replace(
        record,
        # Of lines that were kept out, the tables say nothing.
        lines=lines + record.suppressed + record.sealed,
        rows=None if lines else 0,
        quarantined=bad,
        quarantined_on_read=bad,
        duplicates=0,
        left_out=0,
    )


def believe(record: FileRecord, counts: Mapping[tuple[str, str], tuple[int, int]]) -> FileRecord:
    """A record of which it is not known whether the tables hold what it says: their lines count."""
    if record.is_current or record.holds_lines:
        return recounted(record, counts.get((record.source, record.path), (0, 0)))
    return record


def look_at_young(
    found: HourFiles, listed: Sequence[LandingFile], open_landing: Callable[[], Landing]
) -> dict[str, str]:
    """Look into kept files that were read so soon after they were written that their looks prove
    nothing; the contents (by path) of those that are others now, which are to be read."""
    hashed: dict[str, str] = {}
    young = [record for record in found.kept if record.is_young]
    by_path = {file.path: file for file in listed} if young else {}
    for record in young:
        file = by_path.get(record.path)
        if file is None:
            continue
        try:
            now = hash_file(open_landing(), record.path)
        except UNOPENABLE:
            now = ""
        found.kept.remove(record)
        if now == record.content_hash:
            found.kept.append(replace(record, is_young=file.is_young(time.time_ns())))
        else:
            hashed[record.path] = now
            found.look.append(Seen(file, [record]))
    return hashed


def take_same(
    found: HourFiles,
    owners: Callable[[str], Mapping[str, str]],
    open_landing: Callable[[], Landing],
) -> None:
    """Keep the files that were only written again, with the same content."""
    for seen in list(found.look):
        was = seen.was
        if was is None or was.bytes != seen.file.size or not was.content_hash:
            continue
        if not seen.is_trusted:
            continue
        if {record.source: record.read_by for record in seen.known} != owners(seen.file.path):
            continue
        is_young = seen.file.is_young(time.time_ns())
        try:
            is_same = hash_file(open_landing(), seen.file.path) == was.content_hash
        except UNOPENABLE:
            continue
        if is_same:
            found.look.remove(seen)
            found.kept += [
                settled(known, seen.file.identity, seen.file.arrived_at, is_young=is_young)
                for known in seen.known
            ]


def held_records(seen: Seen, state: str, identity: str) -> list[FileRecord]:
    """The records of a file that cannot be opened any more, and held lines before; `identity`: how
    it looks now, empty if it is gone."""
    return [
        replace(record, state=state, identity=identity, is_young=False)
        for record in seen.known
        if record.state != "unreadable"
    ]


def with_past(found: HourFiles, now: Sequence[FileRecord]) -> list[FileRecord]:
    """The hour's records after a run, by source and path: those of now, and of each content that
    is no longer any file's."""
    current = {(record.source, record.path, record.content_hash) for record in now}
    there = {record.path for record in now}
    replaced = [
        known.past("replaced")
        for seen in found.look
        for known in seen.known
        if known.holds_lines and known.path in there
    ]
    left = [record.past(record.state) for record in found.leaving]
    every = (*found.past, *replaced, *left, *found.refused)
    past = {(r.source, r.path, r.content_hash): r for r in every}
    kept = [record for key, record in past.items() if key not in current]
    return sorted([*now, *kept], key=lambda r: (r.source, r.path, r.content_hash))
