"""Which KPIs each event, and each of its values, feeds (semantics of the KPIs).

Belongs here: the words for what suffers when a column goes. Does not: computing any KPI.
"""

from collections.abc import Iterable

from kpi_platform.schemas.sources_file.source_tables import EventMapping

_ACTIVE = ("active players", "DAU/WAU/MAU", "retention", "churn")
_SESSIONS = ("sessions", "session length", "playtime", "concurrency")
_REVENUE = ("revenue", "ARPDAU", "ARPPU", "payers", "conversion", "LTV")
_CRASHES = ("crash-free sessions", "crash-free players")
# What an event feeds beside activity, of which every event but Install and Notification is a sign.
_OF_EVENT: dict[str, tuple[str, ...]] = {
    "SessionStart": _SESSIONS,
    "SessionEnd": _SESSIONS,
    "Purchase": _REVENUE,
    "Crash": _CRASHES,
    "Issue": ("issues by version",),
    "Install": ("installs", "install sources"),
    "SoftwareVersion": ("version history", "adoption"),
    "Notification": ("upgrade notifications",),
    "FeatureUsed": ("feature use",),
    "ExperimentAssigned": ("A/B test results",),
}
_NO_ACTIVITY = {"Install", "Notification"}
_OF_ATTRIBUTE: dict[str, tuple[str, ...]] = {
    "Amount": _REVENUE,
    "Currency": _REVENUE,
    "DurationSeconds": ("session length", "playtime"),
    "Version": ("version history", "adoption"),
    "Device": ("version history",),
    "Country": ("figures by country",),
    "Platform": ("figures by platform",),
}


def events_of(mapping: EventMapping) -> list[str] | None:
    """The events a mapping can make; None if the column's own values name them."""
    event = mapping.event
    if event is None:
        return []
    if event.literal is not None:
        return [event.literal]
    return sorted(set(event.names.values())) or None


def kpis_of_event(event: str) -> list[str]:
    """The KPIs that an event feeds."""
    active = () if event in _NO_ACTIVITY else _ACTIVE
    return [*_OF_EVENT.get(event, ()), *active]


def kpis_of_mapping(mapping: EventMapping) -> list[str]:
    """The KPIs that a table feeds."""
    events = events_of(mapping)
    if events is None:
        return ["every KPI of the game"]
    return _distinct(kpi for event in events for kpi in kpis_of_event(event))


def kpis_of_use(mapping: EventMapping, use: str) -> list[str]:
    """The KPIs that suffer when the column of a use (`player_id`, `attributes.Amount`) goes."""
    if use.startswith("attributes."):
        return list(_OF_ATTRIBUTE.get(use.removeprefix("attributes."), ()))
    if use == "session_id":
        return list(_SESSIONS)
    if use == "platform":
        return ["figures by platform"]
    if use in ("transaction_id", "service_name"):
        return []
    return kpis_of_mapping(mapping)


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
