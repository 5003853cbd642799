"""The `kpi backfill` commands: what hours need, and doing it in pieces that can be resumed.

Belongs here: arguments, messages and exit codes. Does not: the work (`kpi_platform/backfill`).
"""

import os
from collections.abc import Iterator
from typing import Annotated, Any

import dagster as dg
import typer

from kpi_platform.backfill.pieces import (
    Backfill,
    Progress,
    carry_out,
    new_backfill,
    resumed_backfill,
    run_with_dagster,
)
from kpi_platform.backfill.plan import Plan, PlannedHour, pieces_of, plan_backfill
from kpi_platform.cli.terminal import say, say_json
from kpi_platform.cli.typed_hours import typed_hour
from kpi_platform.engine.platform import Platform
from kpi_platform.orchestration.partitions import HOUR, key_of, range_name
from kpi_platform.settings import load_settings

backfill_app = typer.Typer(
    help="Many hours: what they need and why, and doing it in pieces that can be resumed.",
    no_args_is_help=True,
)
FAILED = 1
_FIRST = typer.Option("--from", help="First hour.")
_LAST = typer.Option("--to", help="Last hour.")
_JSON = typer.Option("--json", help="Print JSON.")
_MEBIBYTE = 1024 * 1024


@backfill_app.command(
    epilog="Example: kpi backfill plan --from 2026-01-01-00:00 --to 2026-12-31-23:00"
)
def plan(
    first: Annotated[str, _FIRST],
    last: Annotated[str, _LAST],
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Say which of these hours need work and why; nothing is changed.

    An hour was never run, it failed, its files changed, or a table is stale: made under other
    settings, by another version of its step, or not brought up to date. Hours that hold files
    which are gone are named, too. What is new in studios' warehouses a run finds itself. Exit code
    0; 2: bad input.
    """
    found = _plan(first, last)
    if as_json:
        say_json(_values(found))
        return
    for line in _lines(found):
        say(line)


@backfill_app.command(
    epilog="Example: kpi backfill run --from 2026-01-01-00:00 --to 2026-12-31-23:00"
)
def run(first: Annotated[str, _FIRST], last: Annotated[str, _LAST]) -> None:
    """Run the hours that need work, everything of them, in pieces of at most 14 days.

    What Dagster says stands in backfill.log below KPI_HOME. Stopped or killed, it goes on with
    `kpi backfill resume`. Exit code 0: done; 1: hours of some pieces failed; 2: bad input.
    """
    found = _plan(first, last)
    for line in _lines(found):
        say(line)
    if found.work:
        _carry_out(new_backfill(load_settings(), found.work))


@backfill_app.command(epilog="Example: kpi backfill resume")
def resume() -> None:
    """Go on with the pieces that are not done: those that wait, and those that ended red.

    Exit code as of `kpi backfill run`.
    """
    backfill = resumed_backfill(load_settings())
    if not backfill.left:
        say(f"the backfill of {backfill.hours:,} hours is done")
        return
    _carry_out(backfill)


def _plan(first: str, last: str) -> Plan:
    span = typed_hour(first), typed_hour(last)
    if span[0] > span[1]:
        raise typer.BadParameter(f"--from {first} is after --to {last}")
    platform = Platform(load_settings())
    if "DAGSTER_HOME" not in os.environ:
        # Without it Dagster's state is unknown, and nobody tells how long hours took.
        return plan_backfill(platform, *span)
    with dg.DagsterInstance.get() as instance:
        return plan_backfill(platform, *span, instance)


def _carry_out(backfill: Backfill) -> None:
    for progress in carry_out(backfill, run_with_dagster):
        say(_progress_line(progress))
    failed = [piece for piece in backfill.pieces if piece.state == "failed"]
    for piece in failed:
        say(f"{piece.first}...{piece.last} ended red: see {backfill.path.with_suffix('.log')}")
    if failed:
        raise typer.Exit(FAILED)
    say(f"done: {backfill.hours:,} hours")


def _progress_line(progress: Progress) -> str:
    left = "" if progress.seconds_left is None else f", about {_time(progress.seconds_left)} left"
    now = f", now {progress.piece.first}...{progress.piece.last}"
    return (
        f"{progress.hours:,} of {progress.of_hours:,} hours, {progress.pieces:,} of"
        f" {progress.of_pieces:,} pieces{left}{now if progress.pieces < progress.of_pieces else ''}"
    )


def _time(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"


def _values(found: Plan) -> dict[str, Any]:
    return {
        "from": key_of(found.first),
        "to": key_of(found.last),
        "counts": found.counts(),
        "hours": [
            {"hour": key_of(i.hour), "reason": i.reason, "bytes": i.bytes, "error": i.error}
            for i in found.hours
        ],
        "hours_to_run": len(found.work),
        "bytes": found.bytes,
        "seconds": found.seconds,
        "complete_figures": found.figures,
        "figures_from": found.figures_from.isoformat() if found.figures_from else None,
        "figures_to": found.figures_to.isoformat() if found.figures_to else None,
    }


def _lines(found: Plan) -> Iterator[str]:
    for reason in found.counts():
        of_reason = {i.hour: i for i in found.hours if i.reason == reason}
        for piece in pieces_of(list(of_reason), HOUR * len(of_reason)):
            yield _range_line(reason, [of_reason[hour] for hour in piece])
    if not found.work:
        yield "nothing to do: every hour is up to date"
        return
    took = "" if found.seconds is None else f", roughly {_time(found.seconds)}"
    yield f"{len(found.work):,} hours to run, {found.bytes / _MEBIBYTE:,.1f} MiB of files{took}"
    if found.figures:
        span = f"{found.figures_from} to {found.figures_to}"
        yield f"{found.figures:,} complete figures may be restated, of {span}"


def _range_line(reason: str, hours: list[PlannedHour]) -> str:
    name = range_name(hours[0].hour, hours[-1].hour)
    errors = sorted({item.error for item in hours if item.error})
    return f"{name}: {reason}{f': {errors[0]}' if errors else ''}"
