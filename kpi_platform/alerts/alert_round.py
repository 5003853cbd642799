"""A round: incidents are found, then told. What `kpi alerts run` and the sensor call.

Belongs here: the order, and what is said of a round. Does not: finding and telling.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from kpi_platform.alerts.alert_pass import ALERTS_LOCK, Places, find_incidents
from kpi_platform.alerts.found_in_restatements import Limit
from kpi_platform.alerts.incident_words import title
from kpi_platform.alerts.incidents import Incident
from kpi_platform.storage.lake.locks import lake_lock


@dataclass(frozen=True)
class Round:
    """What a round did. `changed`: incidents that opened, grew or were resolved."""

    at: datetime
    changed: tuple[Incident, ...]

    def figures(self) -> dict[str, object]:
        """As JSON."""
        return {
            "at": self.at.isoformat(),
            "opened": [i.incident_id for i in self.changed if self._word(i) == "opened"],
            "grown": [i.incident_id for i in self.changed if self._word(i) == "grown"],
            "resolved": [i.incident_id for i in self.changed if self._word(i) == "resolved"],
        }

    def lines(self) -> Iterator[str]:
        """For a person."""
        if not self.changed:
            yield "nothing new"
        for incident in self.changed:
            yield f"{self._word(incident)} {incident.incident_id}: {title(incident)}"

    def _word(self, incident: Incident) -> str:
        if incident.opened_at == self.at:
            return "opened"
        return "grown" if incident.is_open else "resolved"


def alert_round(places: Places, at: datetime) -> Round:
    """Find incidents at `at`. Raises LakeError, LockError."""
    with lake_lock(places.parts.lake.uri, ALERTS_LOCK):
        changed = find_incidents(places, at, Limit())
    return Round(at, tuple(changed))
