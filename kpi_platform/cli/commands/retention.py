"""The `kpi retention` command: rows that go after a number of days.

Belongs here: arguments and messages. Does not: retention (`retention/run.py`).
"""

from datetime import UTC, datetime
from typing import Annotated

import typer

from kpi_platform.cli.terminal import progress_bars, say, say_json
from kpi_platform.engine.layout import refuse_other_layout
from kpi_platform.engine.platform import Platform
from kpi_platform.retention.report import as_lines, as_values
from kpi_platform.retention.run import plan_retention, run_retention
from kpi_platform.settings import load_settings

retention_app = typer.Typer(
    help="Rows that go after a number of days, while figures stay.", no_args_is_help=True
)


@retention_app.callback()
def _retention() -> None:
    """Keeps `run` a command of its own."""


@retention_app.command(epilog="Example: kpi retention run --dry-run")
def run(
    is_dry: Annotated[
        bool, typer.Option("--dry-run", help="Say what a run would do; nothing changes.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Seal days that are over for KPI_KEEP_LINES_DAYS, and let their telemetry lines go; after
    KPI_KEEP_EVENTS_DAYS their events.

    Of a sealed day no late line is taken any more. An hour's lines go when every day that it holds
    events of is sealed; hours that are waited for are named. No figure changes. The disk's space
    comes back with `kpi maintain`, when replaced versions are older than KPI_RETENTION_HOURS.
    Exit code 0; 2: bad input, or KPI_KEEP_LINES_DAYS is not set.
    """
    platform = Platform(load_settings())
    refuse_other_layout(platform.lake)
    now = datetime.now(UTC)
    if is_dry:
        found = plan_retention(platform, now)
    else:
        with progress_bars() as progress:
            found = run_retention(platform, now, progress)
    if as_json:
        say_json(as_values(found, is_dry=is_dry))
        return
    for line in as_lines(found, is_dry=is_dry):
        say(line)
