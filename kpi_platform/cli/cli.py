"""The `kpi` command: the platform's work that is not a Dagster run.

Belongs here: arguments, messages and exit codes. Does not: the work itself.

A command imports what it needs when it runs: Polars, DuckDB, Dagster and the contracts take seconds
that `--help`, a completed word and a lookup do not need (a test names what they may import).
"""

import importlib
import sys
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer._click.core import Command, Context
from typer._click.exceptions import (  # Typer carries its own Click
    ClickException,
    NoArgsIsHelpError,
)
from typer.core import TyperGroup
from typer.main import get_command, get_group

from kpi_platform.cli.query_output import OutputFormat, Row, batches, write_rows
from kpi_platform.cli.terminal import print_table, progress_bars, say, say_json, say_lines
from kpi_platform.cli.typed_hours import typed_hour, typed_instant

if TYPE_CHECKING:
    from kpi_platform.simulator import PostgresPlace

DIFFERENT = 1
UNREADABLE = 4
NONE_IN_EFFECT = 3
BAD_INPUT = 2
# Errors that are the user's to mend. They are named, not imported: an error of a module that was
# never loaded was never raised.
MISTAKES = (
    ("kpi_platform.settings", "SettingsError"),
    ("kpi_platform.schemas.sources_file.sources", "SourcesError"),
    ("kpi_platform.alerts.policies", "PoliciesError"),
    ("kpi_platform.storage.landing.landing", "LandingError"),
    ("kpi_platform.storage.lake.lake_root", "LakeError"),
    ("kpi_platform.storage.local_servers.local_process", "LocalServerError"),
    ("kpi_platform.storage.lake.lake_query", "QueryError"),
    ("kpi_platform.simulator", "SimulatedServerError"),
    ("kpi_platform.storage.kpi_database.dbt_manifest", "DbtProjectError"),
    ("kpi_platform.verification.verify", "VerifyError"),
    ("kpi_platform.backfill.pieces", "BackfillError"),
)
# Groups of commands that are loaded when they are asked for: module, name in it, and help.
_GROUPS = {
    "sources": ("cli_sources", "sources_app", "The studios' warehouses."),
    "alerts": ("alerts", "alerts_app", "What is wrong, said once per cause, and to whom."),
    "reports": ("reports", "reports_app", "Who gets the daily report."),
    "backfill": (
        "backfill",
        "backfill_app",
        "Many hours: what they need and why, and doing it in pieces that can be resumed.",
    ),
    "retention": (
        "retention",
        "retention_app",
        "Rows that go after a number of days, while figures stay.",
    ),
    "removals": (
        "removals",
        "removals_app",
        "Files that are gone from the landing zone, whose lines the tables hold.",
    ),
}
# Commands that are loaded when they are asked for: module, name in it, and help.
_COMMANDS = {
    "rebuild": (
        "rebuild",
        "rebuild_app",
        "Make hours of a damaged or doubted table anew from what is before it.",
    ),
    "upgrade": (
        "upgrade",
        "upgrade_app",
        "Bring what an earlier release left behind to this one.",
    ),
    "status": ("standing", "status_app", "Show how the platform stands, on one screen."),
    "costs": ("costs", "costs_app", "Show what each studio costs: bytes and processor time."),
    "doctor": ("standing", "doctor_app", "Look for what is wrong, and name what mends it."),
}


class _Commands(TyperGroup):
    """The commands; those of a group are loaded when one of them is asked for."""

    def resolve_command(
        self, ctx: Context, args: list[str]
    ) -> tuple[str | None, Command | None, list[str]]:
        """The command that the first argument names."""
        name, command, rest = super().resolve_command(ctx, args)
        if name in _GROUPS:
            module, group, _ = _GROUPS[name]
            found = importlib.import_module(f"kpi_platform.cli.commands.{module}")
            command = get_group(getattr(found, group))
            command.name = name
        elif name in _COMMANDS:
            module, its_app, _ = _COMMANDS[name]
            found = importlib.import_module(f"kpi_platform.cli.commands.{module}")
            command = get_command(getattr(found, its_app))
            command.name = name
        return name, command, rest


app = typer.Typer(
    cls=_Commands,
    help="Exact player version history and comparable KPIs for every studio and game.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for _name, (_, _, _help) in _GROUPS.items():
    app.add_typer(typer.Typer(help=_help), name=_name)


def _stand_in() -> None:
    """Stands for a command in the list; the command itself is loaded when it is asked for."""


for _name, (_, _, _help) in _COMMANDS.items():
    app.command(_name, help=_help)(_stand_in)


@app.callback()
def _kpi() -> None:
    """Says which file of settings is read, before a command that may read it."""
    if "--help" in sys.argv:
        return
    from kpi_platform.settings import said_of_env_file

    if which := said_of_env_file():
        say(f"kpi: {which}", err=True)


def main() -> None:
    """Run the command; a user's mistake ends in one clear line and exit code 2."""
    try:
        code = app(standalone_mode=False)
    except ClickException as error:
        # Without arguments the message is the whole help; else it is one line.
        said = error.format_message()
        speak = say_lines if isinstance(error, NoArgsIsHelpError) else say
        speak(f"kpi: {said}", err=True, level="error")
        sys.exit(error.exit_code)
    except typer.Abort:
        sys.exit(130)
    except _mistakes() as error:
        say(f"kpi: {error}", err=True, level="error")
        sys.exit(BAD_INPUT)
    except Exception:  # noqa: BLE001 - whatever it is, it is said without secrets
        # A mistake of ours: its traceback helps us, and tells no secret.
        import traceback

        say_lines(traceback.format_exc().rstrip("\n"), err=True, level="error")
        sys.exit(1)
    sys.exit(code or 0)


def _mistakes() -> tuple[type[Exception], ...]:
    """The classes of `MISTAKES` that can have been raised; asked for when something was."""
    loaded = ((sys.modules[module], name) for module, name in MISTAKES if module in sys.modules)
    return tuple(getattr(module, name) for module, name in loaded)


@app.command(epilog="Example: kpi demo --hours 24")
def demo(
    hours: Annotated[int, typer.Option(min=1, help="Hours of the small world.")] = 240,
    players: Annotated[int, typer.Option(min=1, help="Players of the small world.")] = 300,
    seed: Annotated[int, typer.Option(help="Seed of the small world.")] = 7,
    s3: Annotated[bool, typer.Option("--s3", help="On a real S3 server of its own.")] = False,
) -> None:
    """Make a small world of studios, materialise its hours through Dagster, show what came out."""
    from kpi_platform.cli.commands.demo import run_demo
    from kpi_platform.settings import load_settings

    raise typer.Exit(run_demo(load_settings(), hours, players, seed, on_s3=s3))


class WarehouseKind(StrEnum):
    """Where a simulated studio keeps its tables."""

    DUCKDB = "duckdb"
    POSTGRES = "postgres"


def _postgres_place(dsn_env: str) -> "PostgresPlace":
    from kpi_platform.settings import secret
    from kpi_platform.simulator import PostgresPlace

    dsn = secret(dsn_env)
    if dsn is None:
        raise typer.BadParameter(f"{dsn_env} is not set: it holds the database's address")
    return PostgresPlace(dsn_env, dsn)


@app.command(
    epilog="Example: kpi simulate --out world --start 2026-01-01-00:00 --hours 48 --players 400"
)
def simulate(
    out: Annotated[Path, typer.Option(help="Folder to write; must be empty or absent.")],
    start: Annotated[str, typer.Option(help="First hour.")] = "2026-01-01-00:00",
    hours: Annotated[int, typer.Option(min=1, help="How many hours.")] = 48,
    players: Annotated[int, typer.Option(min=1, help="How many players.")] = 400,
    seed: Annotated[int, typer.Option(help="Equal arguments make equal files.")] = 7,
    warehouse: Annotated[
        WarehouseKind, typer.Option(help="Where the studios' tables are written.")
    ] = WarehouseKind.DUCKDB,
    dsn_env: Annotated[
        str, typer.Option(help="With postgres: the variable that holds the database's address.")
    ] = "SIMULATED_DSN",
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Write a synthetic world: landing/, feeds/, warehouses/, and truth/ with what they contain."""
    from kpi_platform.simulator import simulate as simulate_world

    first = typed_hour(start)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise typer.BadParameter(f"{out} is not empty")
    place = _postgres_place(dsn_env) if warehouse is WarehouseKind.POSTGRES else None
    summary = simulate_world(out, first, hours, players, seed, place)
    figures = {name: value for name, value in vars(summary).items() if name != "out"}
    if as_json:
        say_json({"out": str(out), **figures})
    else:
        counts = ", ".join(f"{value:,} {name}" for name, value in figures.items())
        say(f"{out}: {counts}")


@app.command(
    "version-at",
    epilog="Example: kpi version-at P0000033 2026-01-05T12:00:00Z --service TorqueClient",
)
def version_at(
    player: Annotated[str, typer.Argument(help="Player id.")],
    time: Annotated[str, typer.Argument(help="Instant; UTC if it has no offset.")],
    service: Annotated[str | None, typer.Option(help="Only this service.")] = None,
    device: Annotated[str | None, typer.Option(help="Only this device.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the version in effect for a player at a time; exit code 3 if there is none."""
    from kpi_platform.versions import version_at as lookup

    at = typed_instant(time)
    found = lookup(player, at, service, device)
    if as_json:
        say_json(found.to_dicts(), default=_as_text)
    elif found.is_empty():
        of = "".join(f" on {name!r}" for name in (service, device) if name is not None)
        say(f"no version in effect for {player!r}{of} at {at.isoformat()}", err=True)
    else:
        print_table(found.columns, found.rows(), f"{player} at {at.isoformat()}")
    if found.is_empty():
        raise typer.Exit(NONE_IN_EFFECT)


@app.command(
    epilog="""Example: kpi query "select date, dau from kpi_daily where studio = 'all'" --json"""
)
def query(
    sql: Annotated[str, typer.Argument(help="One SELECT in DuckDB's SQL, or - to read it.")] = "",
    output: Annotated[
        OutputFormat, typer.Option("--format", help="How the rows are printed.")
    ] = OutputFormat.TABLE,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    limit: Annotated[
        int, typer.Option(min=1, help="Rows of a printed table; CSV and JSON have them all.")
    ] = 100,
    tables: Annotated[bool, typer.Option("--tables", help="List the tables there are.")] = False,
    spreadsheet: Annotated[
        bool,
        typer.Option(
            "--spreadsheet",
            help="CSV for a spreadsheet: a text that it would run as a formula begins with '.",
        ),
    ] = False,
    complete: Annotated[
        bool,
        typer.Option(
            "--complete",
            help="No provisional figures: published tables as they were last complete.",
        ),
    ] = False,
) -> None:
    """Ask the lake and the published tables in SQL; nothing is written.

    Every table is a view: by its name, or as lake.NAME and published.NAME. Times are UTC. A query
    has KPI_QUERY_MEMORY (2GB) and KPI_QUERY_SECONDS (300), and is stopped beyond either.
    """
    from kpi_platform.cli.older_lakes import name_other_layout
    from kpi_platform.settings import load_settings
    from kpi_platform.storage.lake.complete_lake import CompleteLake
    from kpi_platform.storage.lake.lake import Lake
    from kpi_platform.storage.lake.lake_query import Bounds, lake_tables, run_query

    settings = load_settings()
    lake = (CompleteLake if complete else Lake)(settings.lake)
    name_other_layout(lake)
    form = OutputFormat.JSON if as_json else OutputFormat.CSV if spreadsheet else output
    if tables:
        lake.require()
        rows: list[Row] = [
            (schema, name) for schema, names in lake_tables(lake).items() for name in names
        ]
        write_rows(["schema", "table"], [rows], form, len(rows))
        return
    if not sql:
        raise typer.BadParameter("needs a query: kpi query 'select ...', or --tables")
    text = sys.stdin.read() if sql == "-" else sql
    bounds = Bounds(settings.query_memory, settings.query_seconds)
    with run_query(lake, text, bounds) as result:
        columns = [column[0] for column in result.description or ()]
        write_rows(columns, batches(result), form, limit, for_spreadsheet=spreadsheet)


@app.command(epilog="Example: kpi dashboard --no-open --out kpis.html")
def dashboard(
    out: Annotated[
        Path | None, typer.Option(help="File to write; kpi_dashboard.html in KPI_HOME unless set.")
    ] = None,
    open_it: Annotated[
        bool, typer.Option("--open/--no-open", help="Show it in the browser.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print where it is as JSON.")] = False,
) -> None:
    """Build the dashboard, one HTML page that needs no network, and open it."""
    from kpi_platform.cli.older_lakes import name_other_layout
    from kpi_platform.engine.platform import Platform
    from kpi_platform.published.pages.dashboard import make_dashboard, read_inputs
    from kpi_platform.settings import load_settings
    from kpi_platform.storage.kpi_database.kept_project import manifest_in_force

    settings = load_settings()
    platform = Platform(settings)
    name_other_layout(platform.lake)
    target = out or settings.home / "kpi_dashboard.html"
    inputs = read_inputs(platform.lake)
    page = make_dashboard(inputs, platform.sources, manifest_in_force(), datetime.now(UTC))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"--out: {target}: {error.strerror}") from None
    until = inputs.now.isoformat(timespec="minutes") if inputs.now else None
    if as_json:
        say_json({"out": str(target), "bytes": len(page), "data_until": until})
    else:
        shown = f"data until {until}" if until else "no hour has been processed yet"
        say(f"{target}: {shown}, {len(page) / 1e6:.1f} MB")
    import webbrowser

    if open_it and not webbrowser.open(target.resolve().as_uri()):
        say("no browser here: open the file yourself", err=True)


@app.command(epilog="Example: kpi verify --from 2026-01-01-00:00 --to 2026-01-01-23:00")
def verify(
    first: Annotated[str | None, typer.Option("--from", help="First hour; default: all.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last hour; default: all.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Differing rows listed per table.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Rebuild the tables from the raw files beside the live ones, and compare.

    Per-hour tables are compared in the hours from --from to --to, sessions and version history
    for the players touched in them, over all hours. Hours whose files changed since they were
    read, or that a run has not finished, are listed as stale, not as different. Published tables
    are compared with their marts. What cannot be read is named with the command that mends it.
    The temporary tables need disk for the events of all hours, where TMPDIR says. Exit code
    0: equal; 1: different; 2: bad input; 4: something cannot be read.
    """
    from kpi_platform.cli.older_lakes import name_other_layout
    from kpi_platform.engine.platform import Platform
    from kpi_platform.operations.notes import VERIFY, write_note
    from kpi_platform.settings import load_settings
    from kpi_platform.storage.lake.lake_root import LakeError
    from kpi_platform.verification.published import add_published
    from kpi_platform.verification.report import as_lines, as_values
    from kpi_platform.verification.verify import verify as verify_lake

    window = typed_hour(first) if first else None, typed_hour(last) if last else None
    if window[0] and window[1] and window[0] > window[1]:
        raise typer.BadParameter(f"--from {first} is after --to {last}")
    platform = Platform(load_settings())
    name_other_layout(platform.lake)
    with progress_bars() as progress:
        found = verify_lake(platform, *window, limit, progress)
    add_published(found, platform, limit)
    note = {name: as_values(found)[name] for name in ("equal", "hours")}
    try:
        note |= {"at": datetime.now(UTC).isoformat(timespec="seconds"), "from": first, "to": last}
        write_note(platform.lake.uri, VERIFY, note)
    except LakeError as error:
        # Whoever may only read the lake may verify it.
        say(f"the result is not noted for kpi status: {error}", err=True)
    if as_json:
        say_json(as_values(found))
    else:
        for line in as_lines(found):
            say(line)
    if found.unreadable:
        raise typer.Exit(UNREADABLE)
    if not found.is_equal:
        raise typer.Exit(DIFFERENT)


@app.command(epilog="Example: kpi maintain --retention-hours 168")
def maintain(
    retention_hours: Annotated[
        int | None, typer.Option(min=1, help="Instead of KPI_RETENTION_HOURS.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Merge small files, write checkpoints and remove old files of every table.

    Rows never change, and versions that were current within the retention stay readable. Safe
    beside running jobs. Exit code 0: done; 1: some table was too busy, run it again.
    """
    from kpi_platform.engine.layout import refuse_other_layout
    from kpi_platform.engine.platform import Platform
    from kpi_platform.settings import load_settings
    from kpi_platform.storage.lake.maintenance import maintain as maintain_lake

    settings = load_settings()
    retention = timedelta(hours=retention_hours or settings.retention_hours)
    lake = Platform(settings).lake
    refuse_other_layout(lake)
    done = []
    for item in maintain_lake(lake, retention):
        done.append(vars(item))
        if not as_json:
            say(
                f"{item.table}: {item.files_before:,} files, {item.bytes_before:,} bytes -> "
                f"{item.files_after:,} files, {item.bytes_after:,} bytes; "
                f"{item.removed:,} old files removed, {item.seconds:.1f} s {item.error}".rstrip()
            )
    if as_json:
        say_json(done)
    if any(item["error"] for item in done):
        raise typer.Exit(DIFFERENT)


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
