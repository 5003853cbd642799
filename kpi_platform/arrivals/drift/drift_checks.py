"""The check of every hour that studios' warehouses are as their mappings say.

Belongs here: what a look at the warehouses says of an hour. Does not: looking.
"""

from collections.abc import Iterable
from datetime import datetime

from kpi_platform.arrivals.drift.drift_step import StudioDrift
from kpi_platform.schemas.hours.hour_checks import CheckSpec, HourCheck

# A warning, because a failed check that blocks would stop the hour of every studio: the studio
# concerned is stopped by its own rows of the ledger.
WAREHOUSES_ARE_AS_MAPPED = CheckSpec(
    "warehouses_are_as_mapped",
    "raw_studio_events",
    "No table or column that is mapped vanished or changed its meaning; what did is named.",
    is_warning=True,
)


def warehouses_are_as_mapped(hour: datetime, drifts: Iterable[StudioDrift]) -> HourCheck:
    """The check's evaluation: figures name each studio with its changes, harmless ones too."""
    by_studio = {drift.studio: drift for drift in drifts}
    figures: dict[str, int | float | str] = {
        "studios": len(by_studio),
        "studios_stopped": sum(bool(drift.blocking) for drift in by_studio.values()),
    }
    said = {f"changes_{key}": " ".join(d.sentences) for key, d in by_studio.items() if d.changes}
    passed = not any(drift.blocking for drift in by_studio.values())
    return HourCheck(WAREHOUSES_ARE_AS_MAPPED, hour, passed, figures | said)
