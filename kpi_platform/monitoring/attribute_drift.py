"""Which services stopped sending an event, or an attribute of it, though every line is fine.

Belongs here: the pure judgement of counts. Does not: counting (cleaned/carried_attributes.py), and
when it is judged.

A client that renames `Version` stops the history of its players, and nothing is quarantined.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from kpi_platform.schemas.findings import Finding

# What a share is compared with: this long before, and it began within so many hours.
USUAL_DAYS = 8
BEGAN_WITHIN_HOURS = 72
# Fewer events, before or since, say nothing.
FEWEST_BEFORE, FEWEST_SINCE = 100, 30
# A share fell if it lost so much, or half of itself, by more standard errors than chance brings.
LOST, STANDARD_ERRORS = 0.2, 6.0
# An event fell silent if not even this part of those expected came.
SILENT = 0.1
MOST_NAMED = 50
_MOST_SAID = 5
_KEY = ["source", "service_name", "event_name", "attribute"]


@dataclass(frozen=True)
class Drift:
    """A service's event, or an attribute of it (blank: the event itself), and its share before and
    since the first hour in which it was missing: of the event, or of the service's events."""

    source: str
    service: str
    event: str
    attribute: str
    before: float
    now: float
    since: datetime

    def words(self) -> str:
        """The drift in a line."""
        lost = f"{self.event}.{self.attribute}" if self.attribute else self.event
        whole = self.event if self.attribute else "the service's"
        return (
            f"{self.service} ({self.source}): {lost} in {self.now:.0%} of {whole} events since "
            f"{self.since:%Y-%m-%d %H:%M}, in {self.before:.0%} before"
        )


def drifts(counts: pl.DataFrame) -> list[Drift]:
    """The shares that fell and are still down, the greatest loss first.

    `counts`: rows of `event_attributes` of the last `USUAL_DAYS` days with `hour` (UTC).
    """
    if counts.is_empty():
        return []
    rows = pl.concat([_attributes(counts), _events(counts)]).sort(*_KEY, "hour")
    newest = rows.select(pl.col("hour").max()).item()
    split = rows.with_columns(
        events_before=pl.col("events").cum_sum().over(_KEY) - pl.col("events"),
        carrying_before=pl.col("carrying").cum_sum().over(_KEY) - pl.col("carrying"),
        events_in_all=pl.col("events").sum().over(_KEY),
        carrying_in_all=pl.col("carrying").sum().over(_KEY),
        last_share=pl.col("carrying").last().over(_KEY) / pl.col("events").last().over(_KEY),
    ).with_columns(
        n=pl.col("events_in_all") - pl.col("events_before"),
        before=pl.col("carrying_before") / pl.col("events_before"),
        whole=pl.col("carrying_in_all") / pl.col("events_in_all"),
        now=(pl.col("carrying_in_all") - pl.col("carrying_before"))
        / (pl.col("events_in_all") - pl.col("events_before")),
    )
    fallen = split.filter(
        pl.col("hour") > newest - pl.duration(hours=BEGAN_WITHIN_HOURS),
        pl.col("events_before") >= FEWEST_BEFORE,
        pl.col("n") >= FEWEST_SINCE,
        _fell(),
        # It came back: nothing is broken any more.
        pl.col("last_share") < (pl.col("before") + pl.col("now")) / 2,
    ).with_columns(errors=_errors())
    significant = (
        fallen.filter(pl.col("errors") >= STANDARD_ERRORS)
        .sort("errors", "hour", descending=[True, False])
        .unique(_KEY, keep="first", maintain_order=True)
    )
    return [
        Drift(*row)
        for row in significant.select(*_KEY, "before", "now", "hour")
        .sort(_lost(), *_KEY)
        .iter_rows()
    ]


def drift_findings(found: Sequence[Drift]) -> list[Finding]:
    """One finding for each source whose services lost something."""
    causes: dict[str, list[str]] = {}
    for each in found:
        causes.setdefault(each.source, []).append(each.words())
    return [
        Finding("attribute_silent", "cleaned_events", "; ".join(words[:_MOST_SAID]), source=source)
        for source, words in causes.items()
    ]


def _fell() -> pl.Expr:
    before, now = pl.col("before"), pl.col("now")
    is_lower = (before - now >= LOST) | (now <= before / 2)
    is_silent = (before * pl.col("n") >= FEWEST_SINCE) & (now <= before * SILENT)
    return pl.when(pl.col("attribute") == "").then(is_silent).otherwise(is_lower)


def _errors() -> pl.Expr:
    """How many standard errors lie between the two shares, if both were the whole's."""
    spread = pl.col("whole") * (1 - pl.col("whole"))
    return (pl.col("before") - pl.col("now")) / (
        spread * (1 / pl.col("events_before") + 1 / pl.col("n"))
    ).sqrt()


def _lost() -> pl.Expr:
    return pl.col("now") - pl.col("before")


def _attributes(counts: pl.DataFrame) -> pl.DataFrame:
    """Of each event, how many carry each attribute."""
    return counts.filter(pl.col("attribute") != "").select(*_KEY, "hour", "events", "carrying")


def _events(counts: pl.DataFrame) -> pl.DataFrame:
    """Of all events of a service, how many are each event; none in an hour is zero."""
    service = ["source", "service_name"]
    whole = counts.filter(pl.col("event_name") == "").select(*service, "hour", "events")
    named = counts.filter((pl.col("event_name") != "") & (pl.col("attribute") == ""))
    of_service = named.select(*service, "event_name", "hour", carrying="events")
    return (
        whole.join(named.select(*service, "event_name").unique(), on=service)
        .join(of_service, on=[*service, "event_name", "hour"], how="left")
        .select(
            *service,
            "event_name",
            pl.lit("").alias("attribute"),
            "hour",
            "events",
            pl.col("carrying").fill_null(0),
        )
    )
