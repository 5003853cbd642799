"""What is found wrong, as one value: how a check, a run or a book names it, and how it is kept in a
check's metadata.

Belongs here: the kinds of what is wrong, and a finding as a value and as text. Does not: looking
for anything, and what becomes of a finding (`alerts`).

A check that can say more than "failed" puts `findings_text` into its metadata under `FINDINGS`:
each finding then is an incident of its own kind and source, whatever else the check looks at.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Literal

Severity = Literal["warn", "error"]
FINDINGS = "findings"
_HOUR = "%Y-%m-%d-%H:%M"

# Every kind of incident, and what happened in plain words. `docs/runbook.md` has a section of each.
KINDS = {
    "run_failed": "A run failed",
    "hour_failed": "An hour failed",
    "check_failed": "A check failed",
    "data_not_fresh": "Data is not fresh",
    "source_silent": "A source fell silent, or sends less than usual",
    "attribute_silent": "An event or attribute fell silent",
    "schema_drifted": "A studio's schema drifted",
    "files_held": "Files are held",
    "figure_restated": "A complete figure was restated",
    "backfill_hangs": "A backfill hangs",
    "sensor_failed": "A sensor or schedule fails or does not tick",
    "erasure_overdue": "An erasure is overdue",
    "alerts_undelivered": "Alerts cannot be delivered",
}


@dataclass(frozen=True)
class Finding:
    """Something wrong. What is broken is `kind`, `asset`, `check` and `source` (blank: of none).

    `cause`: what happened, in plain words; `mend`: the command that mends it, blank for the kind's
    own. `hours`: the ingest hours (UTC) that it is about; none: those that were looked at.
    """

    kind: str
    asset: str
    cause: str
    check: str = ""
    source: str = ""
    severity: Severity = "warn"
    mend: str = ""
    hours: tuple[datetime, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is no kind of incident")


def findings_text(findings: Iterable[Finding]) -> str:
    """The findings as JSON, for a check's metadata."""
    return json.dumps([_plain(finding) for finding in findings])


def findings_in(text: str, asset: str | None, check: str) -> list[Finding]:
    """The findings of such a text, as of this check; of the `asset`, None: that each names. Raises
    ValueError if it is none."""
    found = json.loads(text)
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise ValueError("findings are a list")
    return [_finding(dict(each), asset, check) for each in found]


def _plain(finding: Finding) -> dict[str, object]:
    return asdict(finding) | {"hours": [f"{hour:{_HOUR}}" for hour in finding.hours]}


def _finding(values: dict[str, object], asset: str | None, check: str) -> Finding:
    hours = values.pop("hours", ())
    if not isinstance(hours, list | tuple):
        raise ValueError("hours are a list")
    read = tuple(datetime.strptime(str(hour), _HOUR).replace(tzinfo=UTC) for hour in hours)
    texts = {name: str(value) for name, value in values.items()}
    severity: Severity = "error" if texts.pop("severity", "warn") == "error" else "warn"
    named = {name: texts[name] for name in ("kind", "cause", "source", "mend") if name in texts}
    of = texts["asset"] if asset is None else asset
    return Finding(**named, asset=of, check=check, severity=severity, hours=read)
