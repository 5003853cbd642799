"""The check of every hour that studios' warehouses are as their mappings say.

Belongs here: what a look at the warehouses says of an hour. Does not: looking.
"""

from collections.abc import Collection, Iterable
from datetime import datetime

from kpi_platform.arrivals.drift.drift_step import StudioDrift
from kpi_platform.arrivals.drift.drift_words import sentence
from kpi_platform.schemas.findings import FINDINGS, Finding, findings_text
from kpi_platform.schemas.hours.hour_checks import CheckSpec, HourCheck

# A warning, because a failed check that blocks would stop the hour of every studio: the studio
# concerned is stopped by its own rows of the ledger.
WAREHOUSES_ARE_AS_MAPPED = CheckSpec(
    "warehouses_are_as_mapped",
    "raw_studio_events",
    "No table or column that is mapped vanished or changed its meaning; what did is named.",
    is_warning=True,
)


def warehouses_are_as_mapped(
    hour: datetime, drifts: Iterable[StudioDrift], unread: Collection[str] = ()
) -> HourCheck:
    """The check's evaluation: figures name each studio with its changes, harmless ones too.

    `unread`: the sources that the hour lacks. Of an hour that had been read before, whatever
    changed since, there is nothing to mend, and no finding.
    """
    by_studio = {drift.studio: drift for drift in drifts}
    figures: dict[str, int | float | str] = {
        "studios": len(by_studio),
        "studios_stopped": sum(bool(drift.blocking) for drift in by_studio.values()),
    }
    said = {f"changes_{key}": " ".join(d.sentences) for key, d in by_studio.items() if d.changes}
    passed = not any(drift.blocking for drift in by_studio.values())
    stopped = [(source, drift) for drift in by_studio.values() for source in drift.stopped]
    findings = [
        Finding("schema_drifted", "raw_studio_events", _cause(drift), source=source)
        for source, drift in stopped
        if source in unread
    ]
    named = {FINDINGS: findings_text(findings)} if stopped else {}
    return HourCheck(WAREHOUSES_ARE_AS_MAPPED, hour, passed, figures | said | named)


def _cause(drift: StudioDrift) -> str:
    blocking = " ".join(sentence(change) for change in drift.blocking)
    return f"The warehouse of the studio {drift.studio} is not as mapped: {blocking}"
