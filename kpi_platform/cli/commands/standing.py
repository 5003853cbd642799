"""The `kpi status` and `kpi doctor` commands: how the platform stands, and what is wrong.

Belongs here: arguments, messages and exit codes. Does not: looking (`operations/`).
"""

from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from kpi_platform.cli.older_lakes import name_other_layout
from kpi_platform.cli.terminal import say, say_json
from kpi_platform.engine.platform import Platform
from kpi_platform.operations.doctor import examine
from kpi_platform.operations.findings import Finding, Level
from kpi_platform.operations.status import read_status
from kpi_platform.operations.status_words import as_lines, as_values
from kpi_platform.settings import SettingsError, load_settings

WRONG = 1
_MARKS: dict[Level, str] = {"well": "ok", "note": "note", "wrong": "WRONG"}
_JSON = typer.Option("--json", help="Print JSON.")
status_app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
doctor_app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@status_app.command(epilog="Example: kpi status --json")
def status(as_json: Annotated[bool, _JSON] = False) -> None:
    """Show how the platform stands: newest hours by source, what failed, is held or waits, open
    incidents, runs and queue, sizes, the last verify.

    Exit code 0: nothing waits for a person; 1: hours failed, files are held, incidents are open or
    the last verify found differences; 2: bad input.
    """
    platform = Platform(load_settings())
    name_other_layout(platform.lake)
    found = read_status(platform, datetime.now(UTC))
    if as_json:
        say_json(as_values(found))
    else:
        for line in as_lines(found):
            say(line)
    if found.needs_somebody:
        raise typer.Exit(WRONG)


@doctor_app.command(epilog="Example: kpi doctor --json")
def doctor(as_json: Annotated[bool, _JSON] = False) -> None:
    """Look for what is wrong, and name the command that mends it.

    Settings and sources, the storage's conditional put (really tried) and its clock, locks and who
    holds them, rights, disks, open files, the tables' release, readers, Dagster's daemon, sensors
    and schedules (really ticking), alerts. Exit code 0: nothing is wrong; 1: something is.
    """
    try:
        findings = list(examine(load_settings(), datetime.now(UTC)))
    except SettingsError as error:
        findings = [Finding("settings", "wrong", str(error), "docs/operations.md, Settings")]
    if as_json:
        say_json([asdict(each) for each in findings])
    else:
        for each in findings:
            say(f"{_MARKS[each.level]:<6}{each.check}: {each.said}")
            if each.mend and each.level != "well":
                say(f"      -> {each.mend}")
        say(_summary(findings))
    if any(each.level == "wrong" for each in findings):
        raise typer.Exit(WRONG)


def _summary(findings: list[Finding]) -> str:
    counts = Counter(each.level for each in findings)
    return f"{counts['wrong'] or 'nothing'} wrong, {counts['note'] or 'nothing'} worth knowing"
