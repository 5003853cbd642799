"""The daily report as an asset: three files beside the dashboard.

Belongs here: what Dagster runs. Does not: what the report says, and sending it.
"""

import time
from collections.abc import Iterator

import dagster as dg

from kpi_platform.orchestration.asset_specs import OWNERS
from kpi_platform.orchestration.recording import end_red_if_hours_failed, naming_the_setting
from kpi_platform.orchestration.resources import PlatformResource
from kpi_platform.published.pages.dashboard import read_inputs
from kpi_platform.published.pages.report import make_report
from kpi_platform.published.publish import PUBLICATIONS
from kpi_platform.storage.kpi_database.kept_project import manifest_in_force

REPORT = "daily_report"


@dg.multi_asset(
    name=REPORT,
    specs=[
        dg.AssetSpec(
            REPORT,
            deps=[PUBLICATIONS, "hour_ledger"],
            description="The newest complete day in HTML, plain text and text for Slack.",
            group_name="published",
            owners=OWNERS,
            kinds={"html"},
        )
    ],
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def daily_report(
    context: dg.AssetExecutionContext, platform: PlatformResource
) -> Iterator[dg.MaterializeResult[None]]:
    """Write `published/daily_report.html`, `.txt` and `.slack.txt` where they say something new."""
    started = time.monotonic()
    parts = platform.platform
    with naming_the_setting():
        report = make_report(read_inputs(parts.lake), parts.sources, manifest_in_force())
        files = {
            f"{REPORT}.html": (report.html, "text/html; charset=utf-8"),
            f"{REPORT}.txt": (report.text, "text/plain; charset=utf-8"),
            f"{REPORT}.slack.txt": (report.slack, "text/plain; charset=utf-8"),
        }
        changed = [
            name
            for name, (content, _) in files.items()
            if parts.lake.file_head(name, len(content.encode()) + 1) != content
        ]
        for name in changed:
            parts.lake.put_file(name, *files[name])
    yield dg.MaterializeResult(
        metadata={
            "day": str(report.figures.day or "none is complete yet"),
            "text": dg.MetadataValue.md(f"```\n{report.text.replace('```', '')}\n```"),
            "unchanged": not changed,
            "seconds": round(time.monotonic() - started, 3),
        }
    )
    end_red_if_hours_failed(context, parts.lake)
