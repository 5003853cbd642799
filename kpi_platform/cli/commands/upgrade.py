"""The `kpi upgrade` command: what an earlier release left behind, brought to this one.

Belongs here: arguments, messages and the exit code. Does not: the work (`upgrades/upgrade.py`).
"""

from typing import Annotated

import typer

from kpi_platform.cli.terminal import progress_bars, say, say_json
from kpi_platform.engine.platform import Platform
from kpi_platform.settings import load_settings
from kpi_platform.upgrades.upgrade import steps_of

FAILED = 1
upgrade_app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@upgrade_app.command(epilog="Example: kpi upgrade --dry-run")
def upgrade(
    is_dry: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Bring lake, KPI database and Dagster's state of an earlier release to this one.

    Stop the daemon and let the runs end before. Interrupted, the same command goes on where it
    was. What this release does not know, as a lake of a later one, is refused unchanged. Exit
    code 0: all is of this release; 1: done, but some hours failed or the KPIs were not built; 2:
    bad input, or refused.
    """
    steps = steps_of(Platform(load_settings()))
    problems: list[str] = []
    with progress_bars() as progress:
        for step in steps:
            if not as_json:
                say(f"{'would do' if is_dry else 'doing'}: {step.says}")
            if not is_dry:
                problems += step.work(progress)
    if as_json:
        said = [step.says for step in steps]
        say_json({"steps": said, "is_dry_run": is_dry, "problems": problems})
    else:
        for line in problems:
            say(line)
        say(_last_line(len(steps), len(problems), is_dry=is_dry))
    if problems:
        raise typer.Exit(FAILED)


def _last_line(steps: int, problems: int, *, is_dry: bool) -> str:
    if not steps:
        return "everything is of this release: nothing to do"
    if is_dry:
        return "nothing was changed"
    return "done, but see above" if problems else "everything is of this release now"
