"""What is wrong becomes incidents: opened once, growing, resolved once by themselves.

Belongs here: the pure fold of what was looked at into the incidents there were. Does not: looking
(`found_in_*.py`), words (`incident_words.py`), telling anybody (`messages.py`).

An incident's key is what is broken, never the hour. Whoever looks says what the look covered: of
that, all that was known before is replaced by what was found. What nobody looked at stays as it is.
So it is no matter how many looks a pass has, nor how many passes were left out or repeated.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from kpi_platform.schemas.findings import Finding, Severity
from kpi_platform.schemas.hours.hour_ranges import Range, merged, ranges_of, subtracted

# Facts do not become right again: they close when acknowledged, or after so long without another.
USUAL = timedelta(days=7)
_FACTS = ("check_failed", "run_failed")
# Told once: there is nothing to wait for.
_TOLD_ONCE = ("figure_restated",)
# However many looks find it, it is one cause.
_ONCE_PER_SOURCE = ("source_silent", "attribute_silent")
# An open incident is noted as seen again no more often: every note is a commit.
_SEEN_EVERY = timedelta(hours=1)


class Key(NamedTuple):
    """What is broken."""

    kind: str
    asset: str
    check: str
    source: str


@dataclass(frozen=True)
class Incident:
    """One cause. `hours`: all that it ever touched; `open_hours`: those still wrong; `is_whole`:
    it is wrong of no hour in particular. `closed_by`: blank while open, `itself`, `ack` or `age`.
    `grown_at`: when hours were last added. `mend`: blank for the command of its kind."""

    incident_id: str
    key: Key
    severity: Severity
    cause: str
    mend: str
    opened_at: datetime
    last_seen_at: datetime
    grown_at: datetime
    hours: tuple[Range, ...] = ()
    open_hours: tuple[Range, ...] = ()
    is_whole: bool = False
    resolved_at: datetime | None = None
    acknowledged_at: datetime | None = None
    closed_by: str = ""

    @property
    def is_open(self) -> bool:
        """Whether what it found wrong is not right again, and nobody closed it."""
        return self.resolved_at is None

    @property
    def is_fact(self) -> bool:
        """Whether it cannot become right by itself."""
        return self.key.kind in _FACTS and self.severity == "warn"


@dataclass(frozen=True)
class Look:
    """What one look covered and found: of the incidents with this kind, asset and check (None: of
    any), the `hours`, or, without any, all of it."""

    findings: tuple[Finding, ...] = ()
    kind: str | None = None
    asset: str | None = None
    check: str | None = None
    hours: tuple[Range, ...] | None = None

    def covers(self, key: Key) -> bool:
        """Whether the look would have seen this."""
        wanted = ((self.kind, key.kind), (self.asset, key.asset), (self.check, key.check))
        return all(part is None or part == other for part, other in wanted)


@dataclass
class _Wrong:
    """What is wrong of a key while looks are gone through."""

    hours: list[Range] = field(default_factory=list)
    touched: list[Range] = field(default_factory=list)
    is_whole: bool = False
    finding: Finding | None = None


def fold(known: Sequence[Incident], looks: Iterable[Look], at: datetime) -> list[Incident]:
    """The incidents that are new or changed at `at`, after these looks, in their order.

    `known`: those open, and those that were closed by somebody or by their age, of which nothing
    already told is told again.
    """
    before = {incident.key: incident for incident in known if incident.is_open}
    told = _told(known)
    wrong = {
        key: _Wrong(list(incident.open_hours), [], incident.is_whole)
        for key, incident in before.items()
    }
    for look in looks:
        _go_through(look, wrong)
    changed = []
    for key, state in wrong.items():
        incident = before.get(key)
        if incident is None:
            after = _opened(key, state, told.get(key, ()), list(before), at)
        else:
            after = _continued(incident, state, at)
        if after is not None and after != incident:
            changed.append(after)
            before[key] = after
    return changed


def acknowledge(incident: Incident, at: datetime) -> Incident:
    """The incident after somebody took note: a fact is closed, anything else waits to be right."""
    if not incident.is_open:
        return incident
    if incident.is_fact:
        return _closed(replace(incident, acknowledged_at=at), at, "ack")
    return replace(incident, acknowledged_at=incident.acknowledged_at or at)


def _told(known: Iterable[Incident]) -> dict[Key, tuple[Range, ...]]:
    """The hours of each key that were closed without becoming right."""
    closed: dict[Key, tuple[Range, ...]] = {}
    for incident in known:
        if incident.closed_by in ("ack", "age"):
            closed[incident.key] = (*closed.get(incident.key, ()), *incident.hours)
    return closed


def _go_through(look: Look, wrong: dict[Key, _Wrong]) -> None:
    for key, state in wrong.items():
        if look.covers(key):
            if look.hours is None:
                state.hours, state.is_whole = [], False
            else:
                state.hours = subtracted(state.hours, look.hours)
    for finding in look.findings:
        key = Key(finding.kind, finding.asset, finding.check, finding.source)
        state = wrong.setdefault(key, _Wrong())
        hours = ranges_of(finding.hours) or list(look.hours or ())
        state.hours = merged([*state.hours, *hours])
        state.touched = merged([*state.touched, *hours])
        state.is_whole |= not hours
        state.finding = finding


def _opened(
    key: Key, state: _Wrong, told: Sequence[Range], others: Sequence[Key], at: datetime
) -> Incident | None:
    finding = state.finding
    hours = subtracted(state.hours, told)
    if finding is None or not (hours or state.is_whole):
        return None
    if key.kind in _ONCE_PER_SOURCE and any(
        (key.kind, key.source) == (other.kind, other.source) for other in others
    ):
        return None
    incident = Incident(
        _id_of(key, at),
        key,
        finding.severity,
        finding.cause,
        finding.mend,
        opened_at=at,
        last_seen_at=at,
        grown_at=at,
        hours=tuple(hours),
        open_hours=tuple(hours),
        is_whole=state.is_whole,
    )
    return _closed(incident, at, "itself") if key.kind in _TOLD_ONCE else incident


def _continued(incident: Incident, state: _Wrong, at: datetime) -> Incident:
    if not state.hours and not state.is_whole:
        return _closed(incident, at, "itself")
    hours = tuple(merged([*incident.hours, *state.touched]))
    has_grown = hours != incident.hours
    if incident.is_fact and not has_grown and at - incident.grown_at >= USUAL:
        return _closed(incident, at, "age")
    finding = state.finding
    after = replace(incident, open_hours=tuple(state.hours), is_whole=state.is_whole, hours=hours)
    if finding is not None:
        worse: Severity = "error" if finding.severity == "error" else incident.severity
        after = replace(after, cause=finding.cause, mend=finding.mend, severity=worse)
    if has_grown:
        after = replace(after, grown_at=at)
    if after != incident or (finding is not None and at - incident.last_seen_at >= _SEEN_EVERY):
        after = replace(after, last_seen_at=max(at, incident.last_seen_at))
    return after


def _closed(incident: Incident, at: datetime, by: str) -> Incident:
    return replace(incident, resolved_at=at, closed_by=by, open_hours=(), is_whole=False)


def _id_of(key: Key, at: datetime) -> str:
    """Short enough to be typed; of a key one for each time that it is opened."""
    text = "\0".join((*key, at.isoformat()))
    return hashlib.blake2b(text.encode(), digest_size=5).hexdigest()
