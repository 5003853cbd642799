"""The dashboard of a lake: which tables it reads, and the page made of them.

Belongs here: reading the tables, and putting data and page together. Does not: the form of the
data (`dashboard_data.py`), the page (`dashboard_page.py`), where it is kept, when it is made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Any

import polars as pl

from kpi_platform.published.pages.dashboard_data import (
    DAYS,
    FEED_TABLES,
    HOURS,
    OTHER_TABLES,
    QUESTION_TABLES,
    days_shown,
    ledger_block,
    platform_block,
    platforms,
    processed_until,
    studios_block,
    tables_block,
)
from kpi_platform.published.pages.dashboard_kpis import describe_kpis, kpi_lists
from kpi_platform.published.pages.dashboard_page import build_page
from kpi_platform.published.pages.open_incidents import TABLE as INCIDENTS
from kpi_platform.published.pages.open_incidents import incidents_block, only_open
from kpi_platform.schemas.fingerprints import fingerprint
from kpi_platform.schemas.kpi_definitions import read_definitions
from kpi_platform.schemas.sources_file.sources import Sources
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake

SERIES_TABLES = ("kpi_daily", "kpi_hourly", "kpi_retention", *FEED_TABLES)
LEDGER = "hour_ledger"
# Tables that grow with time: the column of their period, and how many days of it are read.
_PERIODS = {
    "kpi_daily": ("date", DAYS),
    "kpi_retention": ("cohort_date", DAYS),
    "version_adoption": ("date", DAYS),
    **dict.fromkeys(FEED_TABLES, ("date", DAYS)),
    LEDGER: ("p_ingest_date_utc", DAYS),
    "kpi_hourly": ("hour", HOURS // 24),
}
Words = dict[str, dict[str, str]]


@dataclass(frozen=True)
class Inputs:
    """The tables that a dashboard or report is made of, each at one version.

    `tables`: published tables by name, those that exist; `versions`: `<table>@<version>` of each.
    `incidents`: those that are open.
    """

    tables: dict[str, pl.DataFrame]
    ledger: pl.DataFrame
    versions: tuple[str, ...]
    incidents: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(schema=TABLES[INCIDENTS].polars_schema)
    )

    @property
    def now(self) -> datetime | None:
        """The end of the newest ingest hour processed; None before there is one."""
        return processed_until(self.ledger)


def read_inputs(lake: Lake) -> Inputs:
    """Read what the dashboard shows. Raises LakeError if the lake cannot be read."""
    tables, versions = {}, []
    for name in (*SERIES_TABLES, *QUESTION_TABLES, *OTHER_TABLES):
        snapshot = lake.open(f"published/{name}")
        if snapshot is not None:
            tables[name] = _newest(pl.scan_delta(snapshot), name).collect()
            versions.append(f"{name}@{snapshot.version()}")
    versions += [f"{name}@{lake.version(name)}" for name in (LEDGER, INCIDENTS)]
    still_open = only_open(lake.scan(INCIDENTS)).collect()
    ledger = _newest(lake.scan(LEDGER), LEDGER).collect()
    return Inputs(tables, ledger, tuple(versions), still_open)


def _newest(rows: pl.LazyFrame, table: str) -> pl.LazyFrame:
    """The rows of the days that a page has room for, up to the table's newest."""
    if table not in _PERIODS:
        return rows
    column, days = _PERIODS[table]
    newest = rows.select(pl.col(column).max()).collect().item()
    return rows if newest is None else rows.filter(pl.col(column) > newest - timedelta(days=days))


def input_versions(lake: Lake) -> tuple[str, ...]:
    """The versions that `read_inputs` would read, without reading the tables."""
    versions = [
        f"{name}@{version}"
        for name in (*SERIES_TABLES, *QUESTION_TABLES, *OTHER_TABLES)
        if (version := lake.version(f"published/{name}")) is not None
    ]
    return (*versions, *(f"{name}@{lake.version(name)}" for name in (LEDGER, INCIDENTS)))


def page_parts() -> dict[str, str]:
    """The page's own files by name."""
    folder = files("kpi_platform.published.pages") / "page"
    return {part.name: part.read_text(encoding="utf-8") for part in folder.iterdir()}


def described(manifest: Mapping[str, Any]) -> tuple[dict[str, str], Words]:
    """What dbt's models say of themselves: descriptions by table, and of columns by table."""
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    tables = {node["name"]: node["description"] for node in models}
    columns = {
        node["name"]: {c["name"]: c["description"] for c in node["columns"].values()}
        for node in models
    }
    return tables, columns


def dashboard_fingerprint(
    versions: tuple[str, ...], manifest: Mapping[str, Any], sources: Sources
) -> str:
    """A hash of everything that decides what the page shows, but for the time it was built."""
    words = [str(described(manifest)), str(read_definitions(manifest)), sources.model_dump_json()]
    return fingerprint(*versions, *words, *(f"{k}={v}" for k, v in sorted(page_parts().items())))


def make_dashboard(
    inputs: Inputs, sources: Sources, manifest: Mapping[str, Any], built_at: datetime
) -> str:
    """The dashboard as one HTML page. `built_at` is only shown."""
    daily = inputs.tables.get("kpi_daily")
    first, days = days_shown(daily, inputs.now)
    names, left_out = platforms(daily)
    meta = {
        "built_at": built_at.isoformat(timespec="seconds"),
        "data_until": inputs.now.isoformat(timespec="seconds") if inputs.now else "",
        "inputs": dashboard_fingerprint(inputs.versions, manifest, sources),
    }
    core = _core(inputs, sources, manifest, names) | {
        "built_at": meta["built_at"],
        "now": meta["data_until"] or None,
        "first_day": str(first),
        "days": days,
        "platforms": names,
        "platforms_left_out": left_out,
    }
    blocks = [platform_block(inputs.tables, name, first, days) for name in names]
    return build_page(page_parts(), [core, *blocks], meta)


def _core(
    inputs: Inputs, sources: Sources, manifest: Mapping[str, Any], names: list[str]
) -> dict[str, Any]:
    descriptions, columns = described(manifest)
    definitions = read_definitions(manifest)
    found = inputs.ledger["source"].unique().to_list()
    return {
        "kpis": describe_kpis(definitions, SERIES_TABLES),
        "kpi_lists": kpi_lists(definitions, ("kpi_daily", *FEED_TABLES)),
        "descriptions": descriptions,
        "columns": {name: columns[name] for name in columns if name in inputs.tables},
        "is_simulated": sources.is_simulated,
        "studios": studios_block(inputs.tables, _names(sources)),
        "platform_names": _PLATFORM_NAMES,
        "tables": tables_block(inputs.tables, names),
        "ledger": ledger_block(inputs.ledger, sources.frame(found)),
        "incidents": incidents_block(inputs.incidents),
    }


_PLATFORM_NAMES = {
    "pc": "PC",
    "ios": "iOS",
    "android": "Android",
    "playstation": "PlayStation",
    "xbox": "Xbox",
    "switch": "Switch",
    "unknown": "Unknown",
    "other": "Other",
}


def _names(sources: Sources) -> list[dict[str, Any]]:
    return [
        {
            "key": studio.key,
            "name": studio.name,
            "games": [{"key": game.key, "name": game.name} for game in studio.games],
        }
        for studio in sources.studios
    ]
