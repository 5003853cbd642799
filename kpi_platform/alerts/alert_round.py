"""A round: incidents are found, then told. What `kpi alerts run` and the sensor call.

Belongs here: the order, and what is said of a round. Does not: finding and telling.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from kpi_platform.alerts.alert_pass import (
    ALERTS_LOCK,
    Places,
    find_incidents,
    read_incidents,
    read_marks,
    write_marks,
)
from kpi_platform.alerts.finders.found_in_restatements import restated_at
from kpi_platform.alerts.incident_words import title
from kpi_platform.alerts.incidents import Incident, Look
from kpi_platform.alerts.policies import Alerts, PoliciesError, parse_alerts
from kpi_platform.alerts.telling import HEARTBEAT, World, entries_due, heartbeats, trial
from kpi_platform.delivery.errors import DeliveryError
from kpi_platform.delivery.outbox import (
    Entry,
    Route,
    deliver,
    read_entries,
    read_waiting,
    write_entries,
)
from kpi_platform.delivery.senders import send
from kpi_platform.engine.platform import Platform
from kpi_platform.reports.recipients import (
    Subscription,
    addressees,
    read_subscriptions,
    report_routes,
)
from kpi_platform.reports.report_round import Desk, sender, write_reports
from kpi_platform.schemas.findings import Finding
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.lake.locks import lake_lock

# A message that waits longer is itself an incident.
_UNDELIVERED = timedelta(hours=1)
# An incident that was resolved longer ago is told no more, whatever kept the passes.
_TOLD_WITHIN = timedelta(days=7)


@dataclass(frozen=True)
class Round:
    """What a round did. `changed`: incidents that opened, grew or were resolved; `messages`: those
    that were tried; `waiting`: how many have not arrived."""

    at: datetime
    changed: tuple[Incident, ...]
    messages: tuple[Entry, ...] = ()
    waiting: int = 0

    def figures(self) -> dict[str, object]:
        """As JSON."""
        words = ("opened", "grown", "resolved")
        ids_by_word = {
            w: [i.incident_id for i in self.changed if self._word(i) == w] for w in words
        }
        sent = [m.message_id for m in self.messages if m.state == "sent"]
        return {"at": self.at.isoformat(), **ids_by_word, "sent": sent, "waiting": self.waiting}

    def lines(self) -> Iterator[str]:
        """For a person."""
        if not self.messages and all(self._word(each) == "seen" for each in self.changed):
            yield "nothing new"
        for incident in (each for each in self.changed if self._word(each) != "seen"):
            yield f"{self._word(incident)} {incident.incident_id}: {title(incident)}"
        for entry in self.messages:
            to = f"{entry.policy} {entry.recipient}".strip()
            yield f"{entry.state}: {entry.event} to {to}{f': {entry.error}' if entry.error else ''}"
        if self.waiting:
            wait = "1 message waits" if self.waiting == 1 else f"{self.waiting} messages wait"
            yield f"{wait}, to be tried again"

    def _word(self, incident: Incident) -> str:
        if incident.opened_at == self.at:
            return "opened"
        if not incident.is_open:
            return "resolved"
        return "grown" if incident.grown_at == self.at else "seen"


def read_alerts(parts: Platform) -> Alerts:
    """The file of KPI_ALERTS; without one, nobody is told. Raises PoliciesError."""
    path = parts.settings.alerts
    if path is None:
        return Alerts()
    try:
        return parse_alerts(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not UTF-8"
        raise PoliciesError(f"KPI_ALERTS: {path}: {reason}") from None


def alert_round(places: Places, at: datetime) -> Round:
    """Find and tell incidents at `at`. Raises PoliciesError, SourcesError, LakeError, LockError."""
    lake, alerts = places.parts.lake, read_alerts(places.parts)
    with lake_lock(lake.uri, ALERTS_LOCK):
        undelivered = Look(_undelivered(lake, at), "alerts_undelivered")
        changed = find_incidents(places, at, alerts.limit(), [undelivered])
        _write_down(places, alerts, at)
        subscriptions = read_subscriptions(lake) if alerts.reports else []
        routes = _all_routes(alerts, subscriptions)
        operator = alerts.reports.operator if alerts.reports else ""
        try:
            _write_reports(places.parts, alerts, subscriptions, at)
        finally:
            # A report that cannot be made must not keep what is wrong from being told.
            messages = deliver(lake, routes, at, sender(lake, operator))
        return Round(at, tuple(changed), tuple(messages), len(read_waiting(lake)))


def routes_of(alerts: Alerts) -> dict[str, Route]:
    """How the messages of each policy that is on leave."""
    return {p.name: Route(p.notification_service, alerts.email_service) for p in alerts.enabled}


def try_out(alerts: Alerts, at: datetime) -> Iterator[tuple[str, str, str]]:
    """Send one message to every recipient of every policy that is on, past the outbox: policy,
    recipient, and what went wrong, blank if nothing did."""
    for policy in alerts.enabled:
        for recipient in policy.notification_service.recipients():
            message = trial(policy, recipient, at)
            try:
                send(policy.notification_service, alerts.email_service, recipient, message, "")
            except DeliveryError as error:
                yield policy.name, recipient, str(error)
            else:
                yield policy.name, recipient, ""


def _write_down(places: Places, alerts: Alerts, at: datetime) -> None:
    lake, marks = places.parts.lake, read_marks(places.parts.lake)
    if not alerts.enabled:
        return
    told = marks.get("told")
    since = datetime.fromisoformat(told) if told else None
    incidents = read_incidents(lake, max(since or at, at - _TOLD_WITHIN))
    if incidents:
        known = read_entries(lake, [incident.incident_id for incident in incidents])
        sources = places.parts.sources.frame()
        studios = dict(sources.select("source", "studio").iter_rows())
        restated = {i.key.check for i in incidents if i.key.kind == "figure_restated"}
        world = World(studios, places.groups, restated_at(lake, restated))
        write_entries(lake, entries_due(alerts, incidents, known, world, since, at))
    complete = str(json.loads(marks.get("freshness") or "{}").get("complete", ""))
    still_open = [incident for incident in incidents if incident.is_open]
    beats = heartbeats(alerts, still_open, complete, marks.get(HEARTBEAT, ""), at)
    written = {entry.message_id for entry in read_entries(lake, [HEARTBEAT])} if beats else set()
    write_entries(lake, [beat for beat in beats if beat.message_id not in written])
    new = {HEARTBEAT: f"{at:%Y-%m-%d}"} if beats else {}
    newest = max((i.resolved_at or i.opened_at for i in incidents), default=None)
    # Only as far as there was something to tell: a pass without news writes nothing.
    if told is None or (newest is not None and newest > datetime.fromisoformat(told)):
        new["told"] = at.isoformat()
    write_marks(lake, {name: text for name, text in new.items() if marks.get(name) != text})


def _all_routes(alerts: Alerts, subscriptions: Sequence[Subscription]) -> dict[str, Route]:
    routes = routes_of(alerts)
    if alerts.reports is not None:
        routes |= report_routes(alerts.reports, alerts.email_service, subscriptions)
    return routes


def _write_reports(
    parts: Platform, alerts: Alerts, subscriptions: Sequence[Subscription], at: datetime
) -> None:
    """Write down the reports that are due."""
    if alerts.reports is None:
        return
    lake, reports = parts.lake, alerts.reports
    marks = read_marks(lake)
    # Where no hour was ever processed there is nothing to tell of.
    if json.loads(marks.get("freshness") or "{}").get("processed"):
        desk = Desk(parts, reports, tuple(addressees(reports, subscriptions)), at)
        for name, text in write_reports(desk, marks):
            write_marks(lake, {name: text})


def _undelivered(lake: Lake, at: datetime) -> tuple[Finding, ...]:
    """Of each policy whose messages have waited for an hour, why."""
    late = [e for e in read_waiting(lake) if at - e.created_at >= _UNDELIVERED and e.attempts]
    rows = pl.DataFrame({"policy": [e.policy for e in late], "error": [e.error for e in late]})
    return tuple(
        Finding(
            "alerts_undelivered",
            policy,
            f"{count} {'message' if count == 1 else 'messages'} of the policy {policy} could not be"
            f" delivered for an hour: {error}",
            severity="error",
        )
        for policy, count, error in rows.group_by("policy", maintain_order=True)
        .agg(pl.len(), pl.col("error").last())
        .select("policy", "len", "error")
        .iter_rows()
    )
