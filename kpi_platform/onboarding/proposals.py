"""Proposes how a studio's table becomes events: from names, types and samples, with reasons.

Belongs here: choosing columns for roles, and how sure that is. Does not: reading samples, YAML.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import polars as pl

from kpi_platform.onboarding import name_words as names
from kpi_platform.onboarding.proposed_times import TimeProposal, propose_times
from kpi_platform.onboarding.proposed_values import (
    can_be,
    fits,
    has_no_cents,
    ranked,
    scaled,
    written,
)
from kpi_platform.onboarding.sampled_columns import (
    Candidate,
    candidates,
    distinct,
    is_unique,
    time_shape,
)

_MOST_EVENT_NAMES = 60
Repeats = Callable[[Sequence[str]], bool | None]
# Each costs a look at the whole table.
_MOST_KEYS_TRIED = 4


@dataclass(frozen=True)
class Proposal:
    """How a table could be mapped: `mapping` as in the sources file, the reason of each part, and
    a confidence from 0 to 1. Without a mapping, `reasons` says why."""

    table: str
    mapping: Mapping[str, object]
    reasons: tuple[str, ...]
    confidence: float


@dataclass
class _Draft:
    """A proposal in the making."""

    mapping: dict[str, object] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    sureness: list[float] = field(default_factory=list)
    used: set[tuple[str, ...]] = field(default_factory=set)

    def put(self, name: str, value: object, reason: str, sureness: float) -> None:
        """Propose `value` for the part `name` of the mapping, for a reason, 0 to 1 sure of it."""
        self.mapping[name] = value
        self.reasons.append(f"{name}: {reason} ({sureness:.2f})")
        self.sureness.append(sureness)


def propose(
    table: str,
    catalog: pl.DataFrame,
    sample: pl.DataFrame | None,
    repeats: Repeats = lambda _: None,
) -> Proposal:
    """Propose the mapping of one table: `catalog` its rows, `sample` some rows as text.

    `repeats` tells whether two rows of the whole table have the same values in some columns; None
    if nobody knows.
    """
    found = candidates(catalog, sample)
    rows = 0 if sample is None else sample.height
    draft = _Draft()
    events = _event(draft, table, found)
    if not events:
        return Proposal(table, {}, ("nothing tells which event its rows are",), 0.0)
    times = propose_times([c for c in found if _key(c) not in draft.used])
    _times(draft, times)
    if "event_at" not in draft.mapping:
        return Proposal(table, {}, (f"looks like {events[0]}, but has no time",), 0.0)
    _keys(draft, found, rows, repeats)
    for role in ("player_id", "session_id", "platform"):
        _role(draft, role, found)
    _platform_of_table(draft, table)
    _attributes(draft, events, found)
    _rest(draft, found)
    lowest = min(draft.sureness)
    mean = sum(draft.sureness) / len(draft.sureness)
    return Proposal(
        table,
        {"table": table, **draft.mapping},
        tuple(draft.reasons),
        round((lowest + mean) / 2, 2),
    )


def _key(candidate: Candidate) -> tuple[str, ...]:
    return (candidate.column, *candidate.path)


def _event(draft: _Draft, table: str, found: Sequence[Candidate]) -> list[str]:
    """The events the rows are: by the values of a column that names them, else by the table."""
    by_column = [
        (len(known), candidate, known)
        for candidate in found
        if names.says(candidate.name, names.COLUMNS["event"]) and not candidate.is_number
        if (known := _known_events(candidate)) and len(known) > 1
    ]
    if by_column:
        _, candidate, known = max(by_column, key=lambda item: item[0])
        share = len(known) / len(distinct(candidate))
        reason = f"values of {candidate.name} name events: {', '.join(sorted(known)[:4])}"
        draft.put("event", written(candidate, names=known), reason, 0.6 + 0.35 * share)
        draft.used.add(_key(candidate))
        return sorted(set(known.values()))
    event = names.event_named(table)
    if not event:
        return []
    needed = names.NEEDED_BY.get(event)
    has_needed = needed is None or any(fits(needed, c) for c in found)
    phrase = names.says(table, names.EVENTS[event])
    reason = f"the table's name says {phrase!r}"
    if needed and not has_needed:
        reason += f", but no column looks like {needed}"
    draft.put("event", event, reason, 0.9 if has_needed else 0.4)
    return [event]


def _known_events(candidate: Candidate) -> dict[str, str]:
    values = distinct(candidate)
    if len(values) > _MOST_EVENT_NAMES:
        return {}
    return {value: event for value in values if (event := names.event_named(value))}


def _times(draft: _Draft, times: TimeProposal) -> None:
    if times.event_at is not None:
        draft.put("event_at", times.event_at, times.event_at_reason, times.event_at_sureness)
    if times.watermark is not None and times.event_at is not None:
        draft.put("watermark", times.watermark, times.watermark_reason, times.watermark_sureness)
    elif times.event_at is not None:
        draft.reasons.append("watermark: none found: the table would be read whole at each capture")
        draft.sureness.append(0.4)
    draft.used |= times.used


def _keys(draft: _Draft, found: Sequence[Candidate], rows: int, repeats: Repeats) -> None:
    """The key: the database's own, else columns that no two rows of the whole table share.

    A sample only says what is no key. What it leaves is looked up in the table; where that cannot
    be done the proposal says so and is little sure.
    """
    columns = [c for c in found if not c.path]
    marked = [c.column for c in columns if c.is_key]
    if marked:
        draft.put("key", marked, "the database's primary key", 1.0)
        return
    for names_, reason, sureness in islice(_likely_keys(draft, columns, rows), _MOST_KEYS_TRIED):
        is_none = repeats(names_)
        if is_none:
            continue
        if is_none is None:
            said = f"{reason}; whether two rows of the whole table share it is not known: check"
            draft.put("key", names_, said, min(sureness, 0.4))
        else:
            draft.put("key", names_, f"{reason}, and no two rows of the table share it", sureness)
        return
    if "watermark" in draft.mapping:
        del draft.mapping["watermark"]
        draft.reasons.append("key: none found: without one the table is read whole")
        draft.sureness.append(0.2)


def _likely_keys(
    draft: _Draft, columns: Sequence[Candidate], rows: int
) -> Iterator[tuple[list[str], str, float]]:
    """Columns that may be the key by their names or the sample, the likeliest first."""
    named = ranked("key", columns)
    possible = [(score, c) for score, c in named if is_unique(c, rows) or not rows]
    for score, column in possible:
        yield [column.column], "its name", 0.5 + 0.4 * score
    if "watermark" not in draft.mapping:
        return
    for column in columns:
        is_named = any(column is c for _, c in possible)
        if is_unique(column, rows) and time_shape(column) is None and not is_named:
            yield [column.column], "no value comes twice in the sample", 0.4
    # The lines of an order have its number, and one of their own.
    numbered = [c for c in columns if names.says(c.name, names.LINE_NUMBERS)]
    for score, column in named:
        for line in numbered:
            if line is not column:
                yield [column.column, line.column], "their names", 0.4 + 0.3 * score


def _role(draft: _Draft, role: str, found: Sequence[Candidate]) -> Candidate | None:
    """Give the role its best column; `None` if there is none."""
    free = [c for c in found if _key(c) not in draft.used]
    likely = ranked(role, [c for c in free if can_be(role, c)])
    if not likely:
        if role == "player_id":
            draft.reasons.append("player_id: none found: events are attributed by their session")
            draft.sureness.append(0.3)
        return None
    score, best = likely[0]
    rivals = [c.name for other, c in likely[1:] if other == score]
    reason = f"the name of {best.name}" + (f"; {rivals[0]} could be it too" if rivals else "")
    draft.put(role, written(best), reason, (0.6 + 0.35 * score) * (0.8 if rivals else 1))
    draft.used.add(_key(best))
    return best


def _platform_of_table(draft: _Draft, table: str) -> None:
    platform = names.platform_named(table)
    if platform and "platform" not in draft.mapping:
        draft.put("platform", {"literal": platform}, f"the table's name {table!r}", 0.8)


def _attributes(draft: _Draft, events: Sequence[str], found: Sequence[Candidate]) -> None:
    attributes: dict[str, object] = {}
    wanted = dict.fromkeys(a for e in events for a in names.ATTRIBUTES_OF.get(e, ()))
    for role in wanted:
        free = [c for c in found if _key(c) not in draft.used]
        likely = ranked(role, [c for c in free if can_be(role, c)])
        if not likely:
            continue
        score, best = likely[0]
        value, reason, sureness = scaled(role, best, has_no_cents(free))
        attributes[role] = value
        draft.reasons.append(f"attributes.{role}: {reason} ({sureness * (0.7 + 0.3 * score):.2f})")
        draft.sureness.append(sureness * (0.7 + 0.3 * score))
        draft.used.add(_key(best))
        if role == "Amount" and "Currency" not in attributes:
            _currency(draft, attributes, best, found)
    if attributes:
        draft.mapping["attributes"] = attributes


def _currency(
    draft: _Draft, attributes: dict[str, object], amount: Candidate, found: Sequence[Candidate]
) -> None:
    """The currency's column, or the one that the amount's name says; else it is said to miss."""
    free = [c for c in found if _key(c) not in draft.used]
    if any(fits("Currency", c) for c in free):
        return
    for part in names.words(amount.name):
        if part.upper() in names.CURRENCIES:
            attributes["Currency"] = {"literal": part.upper()}
            draft.reasons.append(f"attributes.Currency: the name of {amount.name} (0.90)")
            return
    draft.reasons.append("attributes.Currency: none found: add it, as {literal: EUR}")
    draft.sureness.append(0.3)


def _rest(draft: _Draft, found: Sequence[Candidate]) -> None:
    columns = [c for c in found if not c.path]
    deleted = ranked("deleted", columns)
    if deleted:
        draft.put("deleted", deleted[0][1].column, f"the name of {deleted[0][1].name}", 0.8)
    objects = [c.column for c in columns if c.family == "json"]
    if objects:
        draft.put("json_columns", objects, "their values are JSON objects", 0.9)
    personal = [
        c.column
        for c in columns
        if _key(c) not in draft.used and names.says(c.name, names.PERSONAL)
    ]
    if personal:
        draft.put("ignore", personal, "looks personal: never read", 0.8)
