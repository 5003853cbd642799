"""The `kpi removals` commands: files that are gone though hours hold their lines.

Belongs here: arguments and messages. Does not: what letting go means (`engine/books/removals.py`).
"""

from datetime import datetime
from typing import Annotated

import polars as pl
import typer

from kpi_platform.arrivals.watching.missing_files import note_missing_files
from kpi_platform.cli.older_lakes import name_other_layout
from kpi_platform.cli.terminal import say, say_json
from kpi_platform.cli.typed_hours import typed_hour
from kpi_platform.engine.books.file_ledger import held_files
from kpi_platform.engine.books.removals import accept_removals
from kpi_platform.engine.books.seals import dropped_hours
from kpi_platform.engine.layout import refuse_other_layout
from kpi_platform.engine.platform import Platform
from kpi_platform.settings import load_settings
from kpi_platform.storage.lake.lake import hours_in

removals_app = typer.Typer(
    help="Files that are gone from the landing zone, whose lines the tables hold.",
    no_args_is_help=True,
)
_JSON = typer.Option("--json", help="Print JSON.")


@removals_app.command("list", epilog="Example: kpi removals list --json")
def list_removals(as_json: Annotated[bool, _JSON] = False) -> None:
    """List the files that are held: gone, or no longer to be opened, while their lines stay.

    As the runs of hours and the daily listing noted them. Exit code 0.
    """
    lake = Platform(load_settings()).lake
    name_other_layout(lake)
    held = held_files(lake)
    if as_json:
        say_json(_values(held))
        return
    for line in _lines(held):
        say(line)
    say(f"{held.height:,} files are held" if held.height else "no file is held")


@removals_app.command(
    epilog="Example: kpi removals accept --from 2026-01-01-00:00 --to 2026-01-01-23:00"
)
def accept(
    first: Annotated[str, typer.Option("--from", help="First hour.")],
    last: Annotated[str, typer.Option("--to", help="Last hour.")],
    source: Annotated[str | None, typer.Option(help="Only files of this source.")] = None,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Let the files go that are held in these hours: their lines leave the tables.

    The next run takes the hours along, whatever it was asked for. Files that come back later are
    read again. Exit code 0, also if no file was held; 2: bad input.
    """
    span = typed_hour(first), typed_hour(last)
    if span[0] > span[1]:
        raise typer.BadParameter(f"--from {first} is after --to {last}")
    platform = Platform(load_settings())
    refuse_other_layout(platform.lake)
    if source is not None and source not in _known_sources(platform, span):
        raise typer.BadParameter(f"--source {source!r}: no file of these hours is of this source")
    note_missing_files(platform, span)
    gone = accept_removals(platform.lake, *span, source)
    if as_json:
        say_json(_values(gone))
        return
    for line in _lines(gone):
        say(line)
    hours = gone.select("p_ingest_date_utc", "p_ingest_hour_utc").n_unique()
    lines = int(gone["lines"].sum())
    if dropped := len(dropped_hours(platform.lake, hours_in(gone))):
        say(
            f"the lines of {dropped:,} of these hours are gone (KPI_KEEP_LINES_DAYS): there, files"
            " are let go if all others are there to be read anew, and else stay held"
        )
    say(
        f"{gone.height:,} files of {hours:,} hours let go: {lines:,} lines leave with the next run"
        if gone.height
        else "no file is held in these hours"
    )


def _known_sources(platform: Platform, span: tuple[datetime, datetime]) -> set[str]:
    day = pl.col("p_ingest_date_utc").is_between(span[0].date(), span[1].date())
    return set(platform.lake.scan("file_ledger").filter(day).collect()["source"])


def _values(held: pl.DataFrame) -> list[dict[str, object]]:
    return [
        {
            "hour": f"{row['p_ingest_date_utc']}-{row['p_ingest_hour_utc']:02}:00",
            **{name: row[name] for name in ("source", "path", "bytes", "lines", "content_hash")},
        }
        for row in held.iter_rows(named=True)
    ]


def _lines(held: pl.DataFrame) -> list[str]:
    return [
        f"{row['hour']}  {row['source']}  {row['lines']:,} lines  {row['path']}"
        for row in _values(held)
    ]
