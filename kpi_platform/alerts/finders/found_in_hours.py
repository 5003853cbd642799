"""Which hours failed, which sources are late and whether data is fresh, by the books.

Belongs here: reading `hour_ledger`. Does not: what complete means
(`schemas/hours/completeness.py`).

The ledger is read when it changed; in between only the clock goes on.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta

import polars as pl

from kpi_platform.alerts.incidents import Look
from kpi_platform.cleaned.event_ledger import MAPPING_FAILED
from kpi_platform.engine.books.hour_ledger import TABLE, failed_rows
from kpi_platform.monitoring.freshness import JUDGED, Freshness, judge_freshness
from kpi_platform.schemas.findings import Finding
from kpi_platform.schemas.sources_file.sources import Sources
from kpi_platform.schemas.texts.hidden_secrets import hide_secrets
from kpi_platform.storage.lake.lake import Lake, hours_in, hours_of

_HOUR = timedelta(hours=1)
_MOST_REASONS = 3
_LONGEST = 400
# The version of `freshness_text`.
_TEXT = 3
# An hour that failed by a check says so in its error: the check is the incident.
_BY_A_CHECK = r"^check \w+ failed"


def look_at_failed_hours(lake: Lake, working_on: Collection[datetime]) -> list[Look]:
    """The hours that are failed now; of those that a run is working on nothing is said."""
    rows = failed_rows(lake).filter(~pl.col("error").fill_null("").str.contains(_BY_A_CHECK))
    days = rows.select("p_ingest_date_utc", "p_ingest_hour_utc").unique()
    hours = [
        datetime(day.year, day.month, day.day, hour, tzinfo=UTC) for day, hour in days.iter_rows()
    ]
    waited_for = set(working_on)
    told = sorted(set(hours) - waited_for)
    reasons = {
        hour: str(part["error"].drop_nulls().first() or "no reason was recorded")
        for hour, part in hours_of(rows, told).items()
    }
    findings: tuple[Finding, ...] = ()
    if told:
        findings = (
            Finding("hour_failed", TABLE, _words(reasons), severity="error", hours=tuple(told)),
        )
    if not waited_for:
        return [Look(findings, "hour_failed")]
    # What is being worked on stays as it was known.
    return [_all_but(waited_for, findings)]


def _all_but(waited_for: Collection[datetime], findings: tuple[Finding, ...]) -> Look:
    """A look at every hour there can be but these."""
    hours = sorted(waited_for)
    ends = [datetime(1970, 1, 1, tzinfo=UTC)]
    spans = []
    for hour in hours:
        spans.append((ends[-1], hour))
        ends.append(hour + timedelta(hours=1))
    spans.append((ends[-1], datetime(9999, 1, 1, tzinfo=UTC)))
    return Look(findings, "hour_failed", hours=tuple(s for s in spans if s[0] < s[1]))


def _words(reasons: Mapping[datetime, str]) -> str:
    counted = Counter(reasons.values())
    parts = [
        f"{hide_secrets(' '.join(reason.split()))[:_LONGEST]} ({count})"
        for reason, count in counted.most_common(_MOST_REASONS)
    ]
    more = len(counted) - len(parts)
    others = f" And {more} other reasons." if more > 0 else ""
    one = len(reasons) == 1
    hours = "1 hour failed and was" if one else f"{len(reasons)} hours failed and were"
    return f"{hours} left out: {'; '.join(parts)}.{others}"


def freshness_text(lake: Lake, sources: Sources, kept: str) -> str:
    """What the ledger says of freshness, as JSON; `kept`, read before, if that is still true."""
    version = lake.version(TABLE)
    known = json.loads(kept) if kept else {}
    state = f"{version} {sources.frame().hash_rows().sum()} {_TEXT}"
    if known.get("state") == state:
        return kept
    ledger = lake.scan(TABLE).select(*JUDGED, "error", "source_error").collect()
    all_sources = sources.frame().join(sources.kinds(), on="source")
    found = judge_freshness(ledger, all_sources, datetime(1970, 1, 1, tzinfo=UTC))
    is_told = (pl.col("status") == "failed") & pl.col("source_error").is_null()
    failed = ledger.filter(is_told, ~pl.col("error").fill_null("").str.contains(_BY_A_CHECK))
    # What was read and could not be mapped, nothing else tells.
    is_mapped = ~pl.col("source_error").str.starts_with(MAPPING_FAILED)
    unread = ledger.filter(pl.col("source_error").is_not_null(), is_mapped)
    newest = {
        source: max(hours_in(rows))
        for (source,), rows in unread.partition_by("source", as_dict=True).items()
    }
    return json.dumps(
        {
            "state": state,
            "processed": _text(found.processed),
            "complete": _text(found.complete),
            "failed": _text(max(hours_in(failed), default=None)),
            "late": {source: _text(end) for source, end in found.late.items()},
            "unread": {source: _text(hour) for source, hour in newest.items()},
        }
    )


def look_at_freshness(text: str, limit: timedelta, at: datetime) -> list[Look]:
    """Whether data is fresh at `at`. Sources that are late are told, not what they keep waiting. Of
    what is late because hours failed or a source could not be read, that alone is told; hours that
    go on failing for twice as long are told again, as new ones of an old cause open nothing."""
    known = json.loads(text)
    processed, complete = _time(known["processed"]), _time(known["complete"])
    late = {str(source): _time(end) for source, end in known["late"].items()}
    age = None if complete is None else at - complete - _HOUR
    found = Freshness(processed, complete, late, age)
    findings: list[Finding] = []
    if processed is not None and not found.is_within(limit):
        failed, unread = _time(known["failed"]), known["unread"]
        if late and at - processed - _HOUR <= limit:
            silent = {s: end for s, end in late.items() if not _is_unread(unread.get(s, ""), end)}
            findings = _silent(silent, processed)
        elif (
            failed is None
            or failed < processed
            or at - failed - _HOUR > limit
            or at - processed - _HOUR > 2 * limit
        ):
            findings = [_not_fresh(found, processed)]
    by_kind = [
        tuple(each for each in findings if each.kind == kind)
        for kind in ("data_not_fresh", "source_silent")
    ]
    return [
        Look(by_kind[0], "data_not_fresh", TABLE, "newest_hour_is_recent"),
        Look(by_kind[1], "source_silent", TABLE, "newest_hour_is_recent"),
    ]


def _not_fresh(found: Freshness, processed: datetime) -> Finding:
    complete = f"{found.complete:%Y-%m-%d %H:%M}" if found.complete else "none yet"
    cause = (
        f"The newest hour that was processed is {processed:%Y-%m-%d %H:%M}, the newest complete "
        f"one {complete} (UTC). Nothing later is built: the daemon may stand still, "
        "or every run fails."
    )
    return Finding("data_not_fresh", TABLE, cause, "newest_hour_is_recent", severity="error")


def _is_unread(newest: str, end: datetime | None) -> bool:
    """Whether the newest hour in which a source could not be read is one that is lacking."""
    hour = _time(newest)
    return hour is not None and (end is None or hour >= end)


def _silent(late: Mapping[str, datetime | None], processed: datetime) -> list[Finding]:
    return [
        Finding(
            "source_silent",
            TABLE,
            (
                f"The source has delivered nothing since {end:%Y-%m-%d %H:%M} UTC"
                if end
                else "The source has never delivered anything"
            )
            + f", while hours are processed until {processed:%Y-%m-%d %H:%M}. Totals stay "
            f"provisional. {Freshness(None, None, {source: end}, None).advice()}.",
            "newest_hour_is_recent",
            source,
        )
        for source, end in sorted(late.items())
    ]


def _text(at: datetime | None) -> str:
    return at.isoformat() if at else ""


def _time(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
