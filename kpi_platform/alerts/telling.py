"""Incidents and policies become messages: when it opens, when it grows, when it is over.

Belongs here: which messages there are to be, purely. Does not: sending them (`delivery`).

What is to be said is asked of the incidents as they are written down, not of what a pass changed:
a pass that was killed before it wrote its messages leaves them to the next one.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from kpi_platform.alerts.finders.found_in_restatements import restatement_words
from kpi_platform.alerts.incident_rows import hours_text
from kpi_platform.alerts.incident_words import affects, mend, studios_of, title
from kpi_platform.alerts.incidents import Incident
from kpi_platform.alerts.policies import Alerts, Policy
from kpi_platform.delivery.messages import Message, message_text
from kpi_platform.delivery.outbox import Entry
from kpi_platform.schemas.findings import KINDS
from kpi_platform.schemas.restatement_limits import is_beyond

# Growth is told in threads alone, and there no more often.
_GROWTH_EVERY = timedelta(hours=1)
_MOST_RANGES = 20
HEARTBEAT = "heartbeat"


@dataclass(frozen=True)
class World:
    """What words and targets need to know: the studio of each source, the group of each asset.

    `restated`: the rows of `kpi_restatements` of each incident of these, by its check.
    """

    studios: Mapping[str, str]
    groups: Mapping[str, str]
    restated: Mapping[str, pl.DataFrame] = field(default_factory=dict)

    def cause_for(self, policy: Policy, incident: Incident) -> str:
        """What happened, as the policy is told it; blank if nothing that it is about.

        A policy has a limit of its own for what is restated, and a studio's hears of that studio.
        """
        rows = self.restated.get(incident.key.check)
        if incident.key.kind != "figure_restated" or rows is None:
            return incident.cause
        told = rows.filter(is_beyond(policy.policy_options.limit))
        if policy.studios:
            told = told.filter(pl.col("studio").is_in(policy.studios))
        return restatement_words(told) if told.height else ""


def entries_due(
    alerts: Alerts,
    incidents: Sequence[Incident],
    known: Iterable[Entry],
    world: World,
    since: datetime | None,
    at: datetime,
) -> list[Entry]:
    """The messages that are not yet written down. `known`: those of these incidents that are;
    `since`: when this was last asked (None: never)."""
    ids = {entry.message_id: entry for entry in known}
    entries: list[Entry] = []
    for policy in alerts.enabled:
        for incident in incidents:
            if not policy.wants(incident, studios_of(incident.key, world.studios), world.groups):
                continue
            if not world.cause_for(policy, incident):
                continue
            for recipient in policy.notification_service.recipients():
                to = (policy, recipient)
                for event in _events(incident, to, ids, since):
                    message = _message(alerts, incident, event, to, world)
                    entries.append(_entry(to, incident.incident_id, event, message, at))
    return [entry for entry in entries if entry.message_id not in ids]


def heartbeats(
    alerts: Alerts, open_incidents: Sequence[Incident], complete: str, last: str, at: datetime
) -> list[Entry]:
    """The day's heartbeat to every recipient of every policy that wants it, each once, if it is
    due. `last`: the day of the last one; `complete`: through when data is complete."""
    if at.hour < alerts.heartbeat_hour or last >= f"{at:%Y-%m-%d}":
        return []
    by_place: dict[str, Entry] = {}
    for policy in alerts.enabled:
        if policy.policy_options.heartbeat:
            for recipient in policy.notification_service.recipients():
                where = f"{policy.notification_service.model_dump_json()} {recipient}"
                message = _heartbeat(policy, recipient, open_incidents, complete, at)
                entry = _entry((policy, recipient), HEARTBEAT, HEARTBEAT, message, at)
                by_place.setdefault(where, entry)
    return list(by_place.values())


def trial(policy: Policy, recipient: str, at: datetime) -> Message:
    """A message that only shows that messages arrive."""
    return Message(
        _id(policy.name, recipient, "test", at.isoformat()),
        f"test-{at:%Y%m%d%H%M%S}",
        "test",
        "A trial of the alerts",
        f"kpi_platform: a trial of the policy {policy.name}",
        "Nothing is wrong: somebody typed `kpi alerts test`.",
        (("policy", policy.name), ("event types", ", ".join(policy.event_types))),
        severity="ok",
    )


def _events(
    incident: Incident, to: tuple[Policy, str], known: Mapping[str, Entry], since: datetime | None
) -> Iterator[str]:
    """The events of an incident that are to be told to a recipient."""
    policy, recipient = to
    was_told = _id(policy.name, recipient, incident.incident_id, "opened") in known
    is_taken_note_of = incident.acknowledged_at is not None
    if incident.resolved_at is None:
        if was_told or not is_taken_note_of:
            yield "opened"
        # Of an incident that is new there is nothing to add.
        has_grown = incident.grown_at - incident.opened_at >= _GROWTH_EVERY
        if was_told and has_grown and not is_taken_note_of and _answers(policy):
            yield f"grown {incident.grown_at:%Y-%m-%d %H}"
        return
    came_right = incident.closed_by == "itself" and incident.resolved_at > incident.opened_at
    if was_told and came_right and policy.policy_options.tell_resolved:
        yield "resolved"
    # It came and went while nobody could be told, or is told once.
    if not was_told and since is not None and incident.opened_at >= since:
        yield "opened"


def _answers(policy: Policy) -> bool:
    """Whether messages can be added to a thread, where they disturb nobody."""
    slack = policy.notification_service.slack
    return slack is not None and slack.webhook_env is None


def _message(
    alerts: Alerts, incident: Incident, event: str, to: tuple[Policy, str], world: World
) -> Message:
    key, word = incident.key, event.partition(" ")[0]
    right_at, cause = incident.resolved_at, world.cause_for(to[0], incident)
    prefix = {"opened": "", "grown": "More of: ", "resolved": "Right again: "}[word]
    facts = [
        ("source", key.source),
        ("asset", key.asset),
        ("check", key.check),
        ("hours (UTC)", hours_text(incident.hours, _MOST_RANGES)),
        ("still wrong", hours_text(incident.open_hours, _MOST_RANGES) if word == "grown" else ""),
        ("studios", studios_of(key, world.studios)),
        ("touches", affects(key)),
        ("since", f"{incident.opened_at:%Y-%m-%d %H:%M} UTC"),
        ("right since", f"{right_at:%Y-%m-%d %H:%M} UTC" if right_at else ""),
        ("incident", incident.incident_id),
    ]
    page = alerts.runbook_url or "docs/runbook.md"
    return Message(
        _id(to[0].name, to[1], incident.incident_id, event),
        incident.incident_id,
        word,
        f"{prefix}{KINDS[key.kind]}",
        f"{prefix}{title(incident)}",
        f"It is right again. It was: {cause}" if word == "resolved" else cause,
        tuple((name, value) for name, value in facts if value),
        "" if word == "resolved" else mend(incident),
        f"{page}#{key.kind}",
        "ok" if word == "resolved" else incident.severity,
    )


def _heartbeat(
    policy: Policy, recipient: str, incidents: Sequence[Incident], complete: str, at: datetime
) -> Message:
    count = len(incidents)
    one = "1 incident is open" if count == 1 else f"{count} incidents are open"
    said = one if count else "no incident is open"
    return Message(
        _id(policy.name, recipient, HEARTBEAT, f"{at:%Y-%m-%d}"),
        HEARTBEAT,
        HEARTBEAT,
        "The platform is watched",
        f"kpi_platform {at:%Y-%m-%d}: {said}",
        "\n".join([f"{said[0].upper()}{said[1:]}.", *(f"* {title(i)}" for i in incidents[:20])]),
        (("newest complete hour", complete or "none yet"), ("as of", f"{at:%Y-%m-%d %H:%M} UTC")),
        severity="ok" if not count else "warn",
    )


def _entry(
    to: tuple[Policy, str], thread: str, event: str, message: Message, at: datetime
) -> Entry:
    content = message_text(message)
    word = event.partition(" ")[0]
    return Entry(message.message_id, to[0].name, to[1], thread, word, content, at, at)


def _id(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()
