"""The `kpi rebuild` command: hours of a damaged or doubted table, made anew.

Belongs here: arguments, messages and the exit code. Does not: the work (`verification/mend.py`,
`verification/published.py`).
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import typer

from kpi_platform.cli.terminal import say, say_json
from kpi_platform.cli.typed_hours import typed_hour
from kpi_platform.engine.layout import refuse_other_layout
from kpi_platform.engine.platform import Platform
from kpi_platform.settings import PARTITION_FORMAT, load_settings
from kpi_platform.verification.mend import REBUILT, Mended, rebuild_table
from kpi_platform.verification.published import published_tables, rebuild_published

FAILED = 1
rebuild_app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@rebuild_app.command(
    epilog="Example: kpi rebuild cleaned_events --from 2026-01-01-05:00 --to 2026-01-01-05:00"
)
def rebuild(
    table: Annotated[str, typer.Argument(help="Table of the lake, or published/TABLE.")],
    first: Annotated[str | None, typer.Option("--from", help="First hour; default: all.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last hour; default: all.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make hours of a damaged or doubted table anew from what is before it.

    Damaged files of these hours leave the table unread. Lines come from the landing zone, events
    from lines, sessions and version history from their contributions, published tables from the
    marts. Version history and published tables are made anew as a whole, sessions wherever they
    are damaged. Exit code 0: done; 1: some hours failed; 2: bad input.
    """
    span = _asked(first), _asked(last)
    if span[0] and span[1] and span[0] > span[1]:
        raise typer.BadParameter(f"--from {first} is after --to {last}")
    platform = Platform(load_settings())
    refuse_other_layout(platform.lake)
    name = table.removeprefix("published/")
    if table in REBUILT:
        done = rebuild_table(platform, table, *span)
    elif name in published_tables():
        done = rebuild_published(platform, name)
    else:
        raise typer.BadParameter(f"{table!r} is no table of the lake: {', '.join(REBUILT)}")
    if as_json:
        say_json(_values(done))
    else:
        for line in _lines(done):
            say(line)
    if done.failed:
        raise typer.Exit(FAILED)


def _asked(text: str | None) -> datetime | None:
    return None if text is None else typed_hour(text)


def _values(done: Mended) -> dict[str, Any]:
    return {
        "table": done.table,
        "damaged": [{"table": item.table, "file": item.file} for item in done.damaged],
        "hours": [hour.strftime(PARTITION_FORMAT) for hour in done.hours],
        "failed": {hour.strftime(PARTITION_FORMAT): why for hour, why in done.failed.items()},
        "lost_lines": done.lost_lines,
        "set_aside": done.aside,
    }


def _lines(done: Mended) -> Iterator[str]:
    for item in done.damaged:
        yield f"taken out: {item.table}: {item.file}: {item.reason}"
    for place in done.aside:
        yield f"its log could not be read: moved to {place}; delete it when all is well"
    if done.lost_lines:
        yield f"{done.lost_lines:,} lines are lost: the files that held them are gone"
    for hour, reason in sorted(done.failed.items()):
        yield f"{hour.strftime(PARTITION_FORMAT)} failed: {reason}"
    whole = "made anew as a whole"
    what = f"{len(done.hours):,} hours made anew" if done.hours else whole
    yield f"{done.table}: {what}{f', {len(done.failed):,} failed' if done.failed else ''}"
