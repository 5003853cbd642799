"""How many names clients give to what tables are grouped by, source by source.

Belongs here: counting them and naming the source that gives too many, or others than are known:
KPI tables have rows of the known platforms and the largest names, and of `other`. Does not: which
rows are looked at.
"""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from kpi_platform.schemas.findings import FINDINGS, Finding, findings_text
from kpi_platform.schemas.hours.hour_checks import CheckSpec, HourCheck
from kpi_platform.schemas.sources_file.platform_names import PlatformNames
from kpi_platform.schemas.texts.shown_text import shown

# Of what one source's clients named in one hour. Consoles and stores know a dozen platforms;
# there are a few thousand models of phones, a game is seldom out in hundreds of versions, and has
# a client, a server or two and its tools.
MOST_NAMES = {
    "platform": 50,
    "device": 5_000,
    "service_name": 50,
    "event_name": 500,
    "version": 500,
}
_MOST_TOLD = 5
_LONGEST_TOLD = 40


def few_names(
    spec: CheckSpec, hour: datetime, rows: pl.DataFrame, limited: Sequence[str]
) -> HourCheck:
    """Count the different values of each `limited` column of `rows`, per `source`.

    Figures: the greatest count of each, and the sources beyond a limit with what they name.
    """
    counted = rows.group_by("source").agg(pl.col(limited).n_unique())
    beyond = [
        (row["source"], f"{row['source']} names {row[name]:,} {name.removesuffix('_name')}s")
        for row in counted.sort("source").iter_rows(named=True)
        for name in limited
        if row[name] > MOST_NAMES[name]
    ]
    most = {
        f"most_{name}s": max(counted[name].cast(pl.Int64).to_list(), default=0) for name in limited
    }
    return HourCheck(spec, hour, not beyond, {**most, **_by_source(spec, beyond)})


def known_platforms(
    spec: CheckSpec, hour: datetime, rows: pl.DataFrame, names: PlatformNames
) -> HourCheck:
    """Name the platforms of `rows` that are none of the list, per `source`, the most frequent ones.

    Figures: the rows that count as `other`, and the sources with what they name.
    """
    unlisted = rows.filter(names.unlisted(pl.col("platform")))
    counted = unlisted.group_by("source", "platform").len("rows")
    texts = [
        (str(source), f"{source}: {', '.join(_told(part))}")
        for (source,), part in counted.partition_by("source", as_dict=True).items()
    ]
    figures: dict[str, int | str] = {
        "rows_of_other": unlisted.height,
        **_by_source(spec, sorted(texts)),
    }
    return HourCheck(spec, hour, unlisted.is_empty(), figures)


def _by_source(spec: CheckSpec, said: Sequence[tuple[str, str]]) -> dict[str, str]:
    """What is said of sources: of the first ones all together, and as a finding of each: a source
    without a finding would count as right again."""
    texts: dict[str, list[str]] = {}
    for source, text in said:
        texts.setdefault(source, []).append(text)
    holds = f" When it is green: {spec.description}" if spec.description else ""
    findings = [
        Finding("check_failed", spec.table, f"{'; '.join(each)}.{holds}", source=of)
        for of, each in texts.items()
    ]
    figures = {"sources": "; ".join(text for _, text in said[:_MOST_TOLD])}
    return figures | ({FINDINGS: findings_text(findings)} if findings else {})


def _told(platforms: pl.DataFrame) -> list[str]:
    most = platforms.sort("rows", "platform", descending=[True, False])
    names = [shown(name[:_LONGEST_TOLD]) for name in most["platform"].head(_MOST_TOLD)]
    more = most.height - len(names)
    return [*names, *([f"{more:,} more"] if more else [])]
