"""The one Dagster resource: the platform's parts, opened when a run starts and not before.

Belongs here: the bridge from Dagster to settings and storage. Does not: anything an asset does.
"""

from datetime import UTC, datetime
from functools import cached_property

import dagster as dg

from kpi_platform.engine.books.waiting_reports import tell_kept
from kpi_platform.engine.hour_steps import FAILURES, error_line
from kpi_platform.engine.layout import LayoutError, refuse_other_layout
from kpi_platform.engine.platform import Platform
from kpi_platform.metrics.otlp import EndedRun
from kpi_platform.metrics.outlets import has_traces, tell_end
from kpi_platform.orchestration.dagster_internals import keys_of_run
from kpi_platform.orchestration.partitions import HOURLY, key_of
from kpi_platform.schemas.texts.hidden_secrets import hide_secrets
from kpi_platform.settings import load_settings
from kpi_platform.storage.lake.lake import Lake

EVERYTHING = "everything"


class PlatformResource(dg.ConfigurableResource["PlatformResource"]):
    """Gives assets the platform of the current environment."""

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Refuse a run of all assets that says of no hour; no step of it could do anything."""
        run = context.dagster_run
        if run is not None and run.job_name == EVERYTHING and run.asset_selection is None:
            require_hours(run)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Tell `run_ledger` what the run did, and whoever keeps traces that it has ended: its steps
        run in this one process."""
        run, settings = context.dagster_run, load_settings()
        if run is None:
            return
        try:
            tell_kept(Lake(settings.lake), settings.home)
        except FAILURES as error:
            if context.log is not None:
                context.log.warning(
                    f"run_ledger lacks this run until the next one: {error_line(error)}"
                )
        if context.instance is None or not has_traces(settings):
            return
        stats = context.instance.get_run_stats(run.run_id)
        now = datetime.now(UTC)
        began = datetime.fromtimestamp(stats.start_time, UTC) if stats.start_time else now
        failure = tell_end(EndedRun(run.run_id, run.job_name, began, now, stats.steps_failed))
        if failure and context.log is not None:
            context.log.warning(failure)

    @cached_property
    def platform(self) -> Platform:
        """Landing, lake, sources and settings as the environment says when first asked.

        Raises dg.Failure of one line for a lake that another release laid out: whatever runs here
        may write to it.
        """
        platform = Platform(load_settings())
        try:
            refuse_other_layout(platform.lake)
        except LayoutError as error:
            raise dg.Failure(hide_secrets(str(error)), allow_retries=False) from None
        return platform


def require_hours(run: dg.DagsterRun) -> None:
    """Raise dg.Failure that says how to choose hours, if the run was asked for none."""
    if not keys_of_run(run, HOURLY):
        newest = HOURLY.get_last_partition_key() or key_of(HOURLY.start)
        raise dg.Failure(
            f"{run.job_name} is run for hours: choose a partition, the newest is {newest}, or a "
            f"range of them (dagster asset materialize --select '*' --partition {newest})",
            allow_retries=False,
        )
