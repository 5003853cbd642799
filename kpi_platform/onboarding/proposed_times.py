"""Proposes when an event was and when its row last changed, with unit and zone.

Belongs here: choosing between a table's times. Does not: how one time is written.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from kpi_platform.onboarding import name_words as names
from kpi_platform.onboarding.sampled_columns import Candidate, TimeShape, time_shape
from kpi_platform.schemas.sources_file.source_values import Time, comparable

# The zone that studios with this many hours from UTC are likeliest in; to be reviewed.
_ZONE_OF_HOURS = {
    0.0: "UTC",
    1.0: "Europe/Berlin",
    2.0: "Europe/Berlin",
    5.5: "Asia/Kolkata",
    8.0: "Asia/Shanghai",
    9.0: "Asia/Tokyo",
    -3.0: "America/Sao_Paulo",
    -4.0: "America/New_York",
    -5.0: "America/New_York",
    -6.0: "America/Chicago",
    -7.0: "America/Los_Angeles",
    -8.0: "America/Los_Angeles",
}
_NO_EVENT = ("expires", "expiry", "birth", "deleted", "geloscht", "valid", "ended", "end")


@dataclass
class TimeProposal:
    """The proposed `event_at` and `watermark` as in the sources file, with reasons."""

    event_at: dict[str, object] | None = None
    event_at_reason: str = ""
    event_at_sureness: float = 0.0
    watermark: dict[str, object] | None = None
    watermark_reason: str = ""
    watermark_sureness: float = 0.0
    used: set[tuple[str, ...]] = field(default_factory=set)


def propose_times(found: Sequence[Candidate]) -> TimeProposal:
    """Choose among the candidates that hold times."""
    times = [(c, shape) for c in found if (shape := time_shape(c)) is not None]
    proposal = TimeProposal()
    events = sorted(times, key=lambda item: -_as_event(item[0]))
    if not events or _as_event(events[0][0]) < 0:
        return proposal
    best, shape = events[0]
    zone, zone_reason, zone_sureness = _zone(best, shape, times)
    proposal.event_at = _written(best, shape, zone)
    said = (f"the name and {shape.unit} of {best.name}", zone_reason, shape.doubt)
    proposal.event_at_reason = "; ".join(part for part in said if part)
    named = 0.95 if _as_event(best) > 0 else 0.6
    proposal.event_at_sureness = named * zone_sureness * (0.6 if shape.doubt else 1)
    proposal.used.add((best.column, *best.path))
    _watermark(proposal, times, best)
    return proposal


def _as_event(candidate: Candidate) -> float:
    """How much a name says "when it happened"; below 0 if it says something else."""
    parts = names.words(candidate.name)
    if any(part in _NO_EVENT for part in parts):
        return -1.0
    if names.says(candidate.name, names.COLUMNS["watermark"]):
        return -0.5 if len(parts) > 1 else -0.9
    phrase = names.says(candidate.name, names.COLUMNS["event_at"])
    # A precise phrase beats a vague one (`created`), a column beats a member of JSON.
    return (len(phrase.split()) / len(parts) if phrase else 0.0) + len(phrase) / 100 - (
        0.01 * len(candidate.path) + (0.3 if "created" in parts else 0.0)
        + (0.2 if "date" in parts and candidate.family == "date" else 0.0)
    )  # fmt: skip


def _watermark(
    proposal: TimeProposal, times: Sequence[tuple[Candidate, TimeShape]], event: Candidate
) -> None:
    usable = [
        (candidate, shape)
        for candidate, shape in times
        if not candidate.path and _is_comparable(candidate, shape)
    ]
    changed = [item for item in usable if names.says(item[0].name, names.COLUMNS["watermark"])]
    own_times = [item for item in usable if item[0] is event]
    created = [item for item in usable if "created" in names.words(item[0].name)]
    for chosen, sureness, said in (
        (changed, 0.95, "when the row last changed"),
        (created, 0.6, "when the row was made: rows changed in place would not be seen"),
        (own_times, 0.5, "the event's own time: late rows and changes in place would not be seen"),
    ):
        if chosen:
            candidate, shape = chosen[0]
            zone, zone_reason, zone_sureness = _zone(candidate, shape, times)
            proposal.watermark = _written(candidate, shape, zone)
            proposal.watermark_reason = f"{candidate.name} tells {said}" + (
                f"; {zone_reason}" if zone_reason else ""
            )
            proposal.watermark_sureness = sureness * zone_sureness
            proposal.used.add((candidate.column,))
            return


def _is_comparable(candidate: Candidate, shape: TimeShape) -> bool:
    if shape.unit != "text":
        # A number kept as text cannot be compared as a number.
        return shape.unit in ("timestamp", "date") or candidate.family != "text"
    if shape.has_offset and not all(v.endswith("Z") for v in candidate.values):
        return False
    try:
        comparable(Time(column="x", unit="text", format=shape.format))
    except ValueError:
        return False
    return shape.format is not None or all("T" in value for value in candidate.values)


def _written(candidate: Candidate, shape: TimeShape, zone: str) -> dict[str, object]:
    written: dict[str, object] = {"column": candidate.column}
    if candidate.path:
        written["path"] = list(candidate.path)
    if shape.unit != "timestamp":
        written["unit"] = shape.unit
    if shape.format is not None:
        written["format"] = shape.format
    if zone != "UTC":
        written["zone"] = zone
    return written


def _zone(
    candidate: Candidate, shape: TimeShape, times: Sequence[tuple[Candidate, TimeShape]]
) -> tuple[str, str, float]:
    """The zone, why, and how sure: by its own offset, its name, or beside an absolute time."""
    if shape.has_offset:
        return "UTC", "", 1.0
    for part in names.words(candidate.name):
        if part in names.ZONES:
            return names.ZONES[part], f"its name says {part}", 0.95
    hours = _hours_from_utc(candidate, shape, times)
    if hours is not None:
        zone = _ZONE_OF_HOURS.get(hours[0])
        if zone is not None:
            said = f"it is {hours[0]:+g} h from {hours[1]}, so probably {zone}"
            return zone, said, 0.9 if hours[0] == 0 else 0.75
    return "UTC", "its zone is not told: UTC is assumed, please check", 0.6


def _hours_from_utc(
    candidate: Candidate, shape: TimeShape, times: Sequence[tuple[Candidate, TimeShape]]
) -> tuple[float, str] | None:
    """By how many hours it stands off an absolute time of the same rows, and which that is."""
    for other, its in times:
        same_rows = len(its.instants) == len(shape.instants) > 0
        if other is candidate or not its.has_offset or not same_rows:
            continue
        gaps = [
            (this - that).total_seconds() / 3600
            for this, that in zip(shape.instants, its.instants, strict=True)
        ]
        half_hours = round(median(gaps) * 2) / 2
        near = [gap for gap in gaps if abs(gap - half_hours) < 0.1]
        if len(near) >= 0.6 * len(gaps) and abs(half_hours) <= 14:
            return half_hours, other.name
    return None
