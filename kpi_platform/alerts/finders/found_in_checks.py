"""What checks found, hour by hour, since the last look.

Belongs here: reading Dagster's evaluations. Does not: what they mean for an incident.

Only the newest evaluation of each check and hour counts. What a run that is not over has found is
left for the next look: its retry may find it right.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

import dagster as dg

from kpi_platform.alerts.incidents import Look
from kpi_platform.orchestration.dagster_internals import (
    CheckState,
    check_states,
    evaluated_since,
    evaluation_of,
)
from kpi_platform.orchestration.partitions import hour_of
from kpi_platform.schemas.findings import FINDINGS, Finding, Severity, findings_in
from kpi_platform.schemas.hours.hour_ranges import Range, ranges_of

# The pass itself judges freshness, by its own clock.
JUDGED_ELSEWHERE = ("newest_hour_is_recent",)
_KINDS = {
    "every_file_is_still_there": "files_held",
    "no_hour_holds_files_that_are_gone": "files_held",
    "warehouses_are_as_mapped": "schema_drifted",
    "services_send_what_they_sent": "attribute_silent",
}
# A look at all hours that says of each what the hour's own check says when the hour runs. Under its
# own name it says nothing: what a release opened that did not yet know this is closed.
_SAID_BY_HOUR = {"no_hour_holds_files_that_are_gone": "every_file_is_still_there"}
# The summary of a run over a range repeats what is kept of its hours.
_OF_A_SUMMARY = "failed_hours"
_NOT_SAID = ("sources", "source", "mend", FINDINGS)
# Failing hours of a check whose evaluation is read for its words; the others say the same. What has
# no finding says nothing of the others.
_MOST_READ = 500
_LONGEST_VALUE = 300


@dataclass(frozen=True)
class CheckLooks:
    """The looks of the checks, and the mark up to which evaluations were read."""

    looks: tuple[Look, ...]
    mark: int


def look_at_checks(
    instance: dg.DagsterInstance,
    checks: Mapping[dg.AssetCheckKey, str],
    mark: int | None,
    unfinished: Collection[str],
) -> CheckLooks:
    """Evaluations after `mark` (None: the newest there are). `checks`: what each says when green.

    `unfinished`: ids of runs that are not over or will be tried again.
    """
    states = check_states(instance, mark)
    waiting = [s.row_id for s in states if s.run_id in unfinished]
    newest: dict[dg.AssetCheckKey, dict[str | None, CheckState]] = defaultdict(dict)
    for state in sorted(states, key=lambda state: state.at):
        if state.passed is not None and state.run_id not in unfinished:
            newest[state.key][state.partition] = state
    looks: list[Look] = []
    for key, by_partition in newest.items():
        if key.name not in JUDGED_ELSEWHERE:
            looks += _looks(instance, key, checks.get(key, ""), by_partition)
    # After the hours' own, which of those left to it are older.
    for key, by_partition in newest.items():
        if key.name in _SAID_BY_HOUR and None in by_partition:
            looks += _looks_of_hours(instance, by_partition[None], unfinished)
    last = states[-1].row_id if states else mark or 0
    return CheckLooks(tuple(looks), min([last, *(row - 1 for row in waiting)]))


def _looks(
    instance: dg.DagsterInstance,
    key: dg.AssetCheckKey,
    description: str,
    by_partition: Mapping[str | None, CheckState],
) -> list[Look]:
    looks = []
    by_hour = {hour_of(name): s for name, s in by_partition.items() if name is not None}
    if by_hour:
        failing = {hour: state for hour, state in by_hour.items() if not state.passed}
        findings = _of_hours(instance, description, failing)
        looks.append(_look(key, findings, tuple(ranges_of(by_hour))))
    whole = by_partition.get(None)
    event = evaluation_of(instance, whole) if whole else None
    if whole is not None and event is not None and _OF_A_SUMMARY not in event.metadata:
        is_said = whole.passed or key.name in _SAID_BY_HOUR
        looks.append(_look(key, [] if is_said else _findings(event, description, ()), None))
    return looks


def _looks_of_hours(
    instance: dg.DagsterInstance,
    whole: CheckState,
    unfinished: Collection[str],
) -> list[Look]:
    """What a look at all hours found, as if the check of these hours had, one look for each asset;
    of others nothing: they are right again when their own check says so. Of an hour whose own check
    was evaluated since, that counts, also if an earlier pass has read it."""
    event = evaluation_of(instance, whole)
    if event is None or FINDINGS not in event.metadata:
        return []
    check = _SAID_BY_HOUR[whole.key.name]
    since = {
        (state.key.asset_key.path[-1], hour_of(state.partition))
        for state in evaluated_since(instance, check, whole.at)
        if state.partition is not None and state.run_id not in unfinished
    }
    by_asset: dict[str, list[Finding]] = defaultdict(list)
    for found in findings_in(str(event.metadata[FINDINGS].value), None, check):
        hours = tuple(hour for hour in found.hours if (found.asset, hour) not in since)
        if hours:
            by_asset[found.asset].append(replace(found, hours=hours))
    looks = []
    for asset, findings in by_asset.items():
        newest_first = sorted(findings, key=lambda found: max(found.hours), reverse=True)
        ranges = tuple(ranges_of(hour for found in findings for hour in found.hours))
        looks.append(Look(tuple(_joined(newest_first)), None, asset, check, ranges))
    return looks


def _look(key: dg.AssetCheckKey, findings: list[Finding], hours: tuple[Range, ...] | None) -> Look:
    return Look(tuple(findings), asset=key.asset_key.path[-1], check=key.name, hours=hours)


def _of_hours(
    instance: dg.DagsterInstance,
    description: str,
    failing: Mapping[datetime, CheckState],
) -> list[Finding]:
    """One finding for each source, with all its hours. Hours beyond what is read go with what was
    found in the last that was; hours that say nothing count for nothing."""
    newest_first = sorted(failing, reverse=True)
    found: list[Finding] = []
    last: list[Finding] = []
    read = telling = 0
    for hour in newest_first:
        if telling == _MOST_READ:
            break
        read += 1
        event = evaluation_of(instance, failing[hour])
        if said := _findings(event, description, (hour,)) if event else []:
            telling += 1
            last = [replace(finding, hours=finding.hours or (hour,)) for finding in said]
            found += last
    rest = newest_first[read:]
    return _joined([*found, *(replace(each, hours=(*each.hours, *rest)) for each in last if rest)])


def _joined(findings: Iterable[Finding]) -> list[Finding]:
    """One finding for each kind and source: in the words of the first, with the hours and the mends
    of all."""
    together: dict[tuple[str, str], Finding] = {}
    hours: dict[tuple[str, str], set[datetime]] = defaultdict(set)
    # Hours may need several commands: of some, files were refused, of others they are gone.
    mends: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for finding in findings:
        of = (finding.kind, finding.source)
        together.setdefault(of, finding)
        hours[of].update(finding.hours)
        mends[of] |= dict.fromkeys(finding.mend.split("\n") if finding.mend else ())
    return [
        replace(finding, hours=tuple(sorted(hours[of])), mend="\n".join(mends[of]))
        for of, finding in together.items()
    ]


def _findings(
    event: dg.AssetCheckEvaluation, description: str, hours: tuple[datetime, ...]
) -> list[Finding]:
    """What a failed evaluation says."""
    asset, check = event.asset_key.path[-1], event.check_name
    figures = {name: value.value for name, value in event.metadata.items()}
    severity: Severity = "error" if event.severity == dg.AssetCheckSeverity.ERROR else "warn"
    if FINDINGS in figures:
        # None at all: another check tells it.
        with suppress(ValueError, TypeError, KeyError):
            return findings_in(str(figures[FINDINGS]), asset, check)
    named = figures.get("sources") or figures.get("source")
    sources = named if isinstance(named, str) else ""
    cause = _words(check, asset, description, figures)
    return [
        Finding(
            _KINDS.get(check, "check_failed"),
            asset,
            cause,
            check,
            source,
            severity,
            "" if hours else str(figures.get("mend") or ""),
            hours,
        )
        for source in (sources.split(", ") if sources else [""])
    ]


def _words(check: str, asset: str, description: str, figures: Mapping[str, object]) -> str:
    said = "; ".join(
        f"{name.replace('_', ' ')}: {str(value)[:_LONGEST_VALUE]}"
        for name, value in figures.items()
        if name not in _NOT_SAID and value not in ("", None)
    )
    holds = " ".join(description.split())
    return " ".join(
        part
        for part in (
            f"The check {check} of {asset} failed.",
            f"When it is green: {holds}" if holds else "",
            f"Found: {said}." if said else "",
        )
        if part
    )
