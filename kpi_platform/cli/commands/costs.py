"""The `kpi costs` command: bytes and processor time of each studio.

Belongs here: arguments and messages. Does not: the sums (`operations/studio_costs.py`).
"""

from datetime import date
from typing import Annotated

import typer

from kpi_platform.cli.older_lakes import name_other_layout
from kpi_platform.cli.terminal import print_table, say, say_json
from kpi_platform.engine.platform import Platform
from kpi_platform.settings import load_settings

costs_app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@costs_app.command("costs", epilog="Example: kpi costs --from 2026-01-01 --to 2026-01-31")
def costs(
    first: Annotated[str, typer.Option("--from", help="First day (UTC).")],
    last: Annotated[str, typer.Option("--to", help="Last day (UTC).")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what each studio costs: bytes and lines of these days, and its part of the processor
    seconds of the runs in them.

    Seconds of a run are shared out by the lines in the hours that it worked on. Exit code 0; 2: bad
    input.
    """
    from kpi_platform.operations.studio_costs import NOBODY, read_costs

    span = _day(first), _day(last)
    if span[0] > span[1]:
        raise typer.BadParameter(f"--from {first} is after --to {last}")
    platform = Platform(load_settings())
    name_other_layout(platform.lake)
    found = read_costs(platform, *span)
    if as_json:
        say_json(found.to_dicts())
    elif found.is_empty():
        say("nothing ran and nothing came in these days")
    else:
        rows = [
            (studio or "nobody's", f"{size:,}", f"{lines:,}", f"{seconds:,.1f}", str(runs))
            for studio, size, lines, seconds, runs in found.iter_rows()
        ]
        print_table(found.columns, rows)
        if NOBODY in found["studio"]:
            say("nobody's: of runs whose hours hold no line")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day; write it as 2026-01-31") from None
