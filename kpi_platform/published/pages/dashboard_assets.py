"""The dashboard as an asset, with the checks that it opens and that it is not old.

Belongs here: what Dagster runs and looks at. Does not: what the page shows.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg

from kpi_platform.orchestration.asset_specs import OWNERS
from kpi_platform.orchestration.dagster_internals import CheckResult
from kpi_platform.orchestration.recording import end_red_if_hours_failed, naming_the_setting
from kpi_platform.orchestration.resources import PlatformResource
from kpi_platform.published.pages.dashboard import (
    dashboard_fingerprint,
    input_versions,
    make_dashboard,
    read_inputs,
)
from kpi_platform.published.pages.dashboard_page import page_fault, page_meta
from kpi_platform.published.publish import PUBLICATIONS
from kpi_platform.storage.kpi_database.kept_project import manifest_in_force

DASHBOARD = "kpi_dashboard"
DASHBOARD_FILE = f"{DASHBOARD}.html"
_HEAD_BYTES = 4096


@dg.multi_asset(
    name=DASHBOARD,
    specs=[
        dg.AssetSpec(
            DASHBOARD,
            deps=[PUBLICATIONS, "hour_ledger"],
            description="One HTML page that opens without a network: every KPI, question and hour.",
            group_name="published",
            owners=OWNERS,
            kinds={"html"},
        )
    ],
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def kpi_dashboard(
    context: dg.AssetExecutionContext, platform: PlatformResource
) -> Iterator[dg.MaterializeResult[None]]:
    """Build `published/kpi_dashboard.html` anew if anything that it shows has changed."""
    started = time.monotonic()
    parts, manifest = platform.platform, manifest_in_force()
    with naming_the_setting():
        head = parts.lake.file_head(DASHBOARD_FILE, _HEAD_BYTES) or ""
        wanted = dashboard_fingerprint(input_versions(parts.lake), manifest, parts.sources)
        is_unchanged = page_meta(head, "inputs") == wanted
        if not is_unchanged:
            inputs = read_inputs(parts.lake)
            page = make_dashboard(inputs, parts.sources, manifest, datetime.now(UTC))
            head = page[:_HEAD_BYTES]
            parts.lake.put_file(DASHBOARD_FILE, page, "text/html; charset=utf-8")
    yield dg.MaterializeResult(
        metadata={
            "address": dg.MetadataValue.path(parts.lake.path(f"published/{DASHBOARD_FILE}")),
            "data_until": page_meta(head, "data-until") or "nothing processed yet",
            "unchanged": is_unchanged,
            "seconds": round(time.monotonic() - started, 3),
        }
    )
    end_red_if_hours_failed(context, parts.lake)


@dg.asset_check(
    asset=DASHBOARD,
    name="dashboard_opens",
    description="The page is there, whole, and its data can be unpacked as its script does.",
)
def dashboard_opens(platform: PlatformResource) -> dg.AssetCheckResult:
    """Read the page back and unpack its blocks."""
    with naming_the_setting():
        page = platform.platform.lake.file_head(DASHBOARD_FILE, 2**31)
    fault = page_fault(page) if page is not None else "there is no page"
    return CheckResult(
        passed=not fault, metadata={"fault": fault or "none", "bytes": len(page or "")}
    )


@dg.asset_check(
    asset=DASHBOARD,
    name="dashboard_is_recent",
    description="The newest hour that the dashboard shows ended no longer ago than "
    "KPI_FRESHNESS_LIMIT_HOURS.",
)
def dashboard_is_recent(platform: PlatformResource) -> dg.AssetCheckResult:
    """Compare what the page says of its data with the clock."""
    limit = platform.platform.settings.freshness_limit_hours
    with naming_the_setting():
        head = platform.platform.lake.file_head(DASHBOARD_FILE, _HEAD_BYTES) or ""
    until, built = page_meta(head, "data-until"), page_meta(head, "built-at")
    age = datetime.now(UTC) - datetime.fromisoformat(until) if until else None
    return CheckResult(
        passed=age is not None and age <= timedelta(hours=limit),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "data_until": until or "none",
            "built_at": built or "none",
            "age_hours": -1.0 if age is None else round(age / timedelta(hours=1), 2),
            "limit_hours": limit,
            "mend": "dagster asset materialize -m kpi_platform.definitions --select kpi_dashboard",
        },
    )
