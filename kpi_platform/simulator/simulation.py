"""The whole world, made batch by batch: files, truth and sources file.

Belongs here: the order of the steps and what is kept between batches. Does not: any step itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from kpi_platform.simulator.draws import Draws
from kpi_platform.simulator.files.bodies import with_bodies
from kpi_platform.simulator.files.broken import make_broken_lines
from kpi_platform.simulator.files.journey import deliver
from kpi_platform.simulator.files.lines import with_lines
from kpi_platform.simulator.files.schedule import Schedule, make_schedule
from kpi_platform.simulator.files.write import cut_short, write_hours
from kpi_platform.simulator.outcome import Outcome, work_out
from kpi_platform.simulator.people.events import make_events
from kpi_platform.simulator.people.habits import echoes_of, with_habits
from kpi_platform.simulator.people.players import DAY_MS, make_kits, make_memberships, make_players
from kpi_platform.simulator.people.sessions import HOUR_MS, sessions_of_day, with_versions
from kpi_platform.simulator.sources_file import demo_sources_yaml, duckdb_file
from kpi_platform.simulator.studios_data.studios import write_studios
from kpi_platform.simulator.studios_data.studios_postgres import PostgresPlace
from kpi_platform.simulator.truth import Truth
from kpi_platform.simulator.world import GAMES, releases_of

# Measured: a player sends about this many lines an hour. It only sizes the batches.
_LINES_PER_PLAYER_HOUR = 3
_LINES_PER_BATCH, _HOURS_PER_BATCH = 500_000, 168


@dataclass(frozen=True)
class SimulationSummary:
    """What was written; the counts are sums of the truth's table `hours`."""

    out: Path
    hours: int
    players: int
    sessions: int
    files: int
    bytes: int
    lines: int
    rows: int
    quarantined: int
    duplicates: int


@dataclass
class _World:
    """What the batches share: the fixed, and what is still under way."""

    draws: Draws
    start_ms: int
    schedule: Schedule
    memberships: pl.DataFrame
    kits: pl.DataFrame
    releases: pl.DataFrame
    truth: Truth
    registry: list[pl.DataFrame] = field(default_factory=list)
    echoes: list[pl.DataFrame] = field(default_factory=list)
    under_way: list[pl.DataFrame] = field(default_factory=list)


def simulate(
    out: Path,
    start: datetime,
    hours: int,
    players: int,
    seed: int,
    postgres: PostgresPlace | None = None,
) -> SimulationSummary:
    """Write a world of `hours` ingest hours from `start` (UTC) to `out`: landing, warehouses,
    feeds, truth, sources.

    Studios' warehouses are DuckDB files, or schemas of `postgres`. The same arguments make the
    same bytes. Raises ValueError for a start that is no whole UTC hour or for counts below one,
    FileExistsError if `out/landing` exists (two worlds in one folder would have no truth),
    SimulatedServerError for a server that cannot be filled.
    """
    start = _checked(start, hours, players)
    landing = out / "landing"
    if landing.exists():
        raise FileExistsError(f"{landing} exists already; choose another folder or remove it")
    landing.mkdir(parents=True)
    world = _make_world(start, hours, players, seed)
    written = 0
    for batch in _batches(hours, players):
        lines = _lines_of(world, batch)
        world.truth.take(lines, batch)
        written += write_hours(world.draws, landing, lines, world.schedule, start, batch)
    world.truth.finish()
    outcome = work_out(world.truth, pl.concat(world.registry))
    _write_truth(out / "truth", world.truth, outcome, start)
    write_studios(out, start, hours, players, seed, postgres)
    connection = duckdb_file if postgres is None else postgres.connection
    (out / "sources.yaml").write_text(demo_sources_yaml(connection), encoding="utf-8")
    return _summary(out, world.truth, outcome, hours, players, written)


def _checked(start: datetime, hours: int, players: int) -> datetime:
    if start.tzinfo is None or start.utcoffset() != timedelta(0):
        raise ValueError(f"start must be UTC: {start}")
    if (start.minute, start.second, start.microsecond) != (0, 0, 0):
        raise ValueError(f"start must be a whole hour: {start}")
    if hours < 1 or players < 1:
        raise ValueError(f"hours and players must be at least 1: {hours}, {players}")
    return start.astimezone(UTC)


def _make_world(start: datetime, hours: int, players: int, seed: int) -> _World:
    draws = Draws(seed)
    start_ms = round(start.timestamp() * 1000)
    schedule = make_schedule(draws, hours)
    memberships = make_memberships(draws, make_players(draws, players, start_ms, hours))
    releases = [
        (
            release.game,
            release.number,
            release.version,
            round(release.released_at.timestamp()) * 1000,
        )
        for game in GAMES
        for release in releases_of(game, start, start + timedelta(hours=hours))
    ]
    schema = {"game": pl.String, "number": pl.Int64, "version": pl.String, "released_ms": pl.Int64}
    return _World(
        draws=draws,
        start_ms=start_ms,
        schedule=schedule,
        memberships=memberships,
        kits=make_kits(draws, memberships),
        releases=pl.DataFrame(releases, schema=schema, orient="row"),
        truth=Truth(schedule),
    )


def _batches(hours: int, players: int) -> Iterator[range]:
    size = max(1, min(_HOURS_PER_BATCH, _LINES_PER_BATCH // (_LINES_PER_PLAYER_HOUR * players)))
    for first in range(0, hours, size):
        yield range(first, min(first + size, hours))


def _lines_of(world: _World, batch: range) -> pl.DataFrame:
    """Return the delivered lines of the batch's ingest hours, those on their way so far included.

    An event never arrives before it happens, so all that can arrive in these hours is known.
    """
    sessions = _sessions_of(world, batch)
    world.registry.append(sessions.select("stretch", "source", "service", "session_id"))
    events = with_bodies(world.draws, make_events(world.draws, sessions))
    copies = deliver(world.draws, events, world.schedule, world.start_ms)
    lines = pl.concat([*world.under_way, with_lines(world.draws, copies)])
    is_due = pl.col("hour") < batch.stop
    world.under_way = [lines.filter(~is_due)]
    due = lines.filter(is_due)
    broken = make_broken_lines(world.draws, due, world.schedule, world.start_ms, batch)
    whole = due.with_columns(reason=pl.lit(None, dtype=pl.String))
    return cut_short(pl.concat([whole, broken], how="diagonal"), world.schedule)


def _sessions_of(world: _World, batch: range) -> pl.DataFrame:
    """Return the sessions that start in the batch's hours, with versions and habits."""
    first_ms = world.start_ms + batch.start * HOUR_MS
    end_ms = world.start_ms + batch.stop * HOUR_MS
    starts_here = pl.col("start_ms").is_between(first_ms, end_ms, closed="left")
    days = range(first_ms // DAY_MS, (end_ms - 1) // DAY_MS + 1)
    planned = pl.concat(
        [sessions_of_day(world.draws, world.memberships, day * DAY_MS) for day in days]
    )
    planned = planned.filter(starts_here).with_columns(id_key=pl.col("stretch"))
    echoes = pl.concat(
        [*world.echoes, echoes_of(world.draws, planned).select(*planned.columns, "is_family")]
    )
    world.echoes = [echoes.filter(pl.col("start_ms") >= end_ms)]
    now = pl.concat([planned, echoes.filter(starts_here)], how="diagonal")
    now = now.with_columns(pl.col("is_family").fill_null(value=False))
    told = now.join(world.kits, on="kit", how="left")
    return with_habits(world.draws, with_versions(world.draws, told, world.releases))


def _write_truth(folder: Path, truth: Truth, outcome: Outcome, start: datetime) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    by_hour = ["source", "hour"]
    tables = {
        "hours": _dated(pl.concat(truth.hours).sort(by_hour), start),
        "quarantined": _dated(pl.concat(truth.quarantined).sort(*by_hour, "reason"), start),
        "sessions": outcome.sessions,
        "intervals": outcome.intervals,
        "players": outcome.players,
        "daily": outcome.daily,
        "retention": outcome.retention,
    }
    for name, table in tables.items():
        table.write_parquet(folder / f"{name}.parquet")


def _dated(table: pl.DataFrame, start: datetime) -> pl.DataFrame:
    """Name the hours as the tables do: p_ingest_date_utc and p_ingest_hour_utc."""
    at = pl.lit(start.replace(tzinfo=None)) + pl.duration(hours=pl.col("hour"))
    dated = table.with_columns(
        p_ingest_date_utc=at.dt.date(), p_ingest_hour_utc=at.dt.hour().cast(pl.Int32)
    )
    return dated.select(
        "source",
        "p_ingest_date_utc",
        "p_ingest_hour_utc",
        pl.exclude("source", "hour", "p_ingest_date_utc", "p_ingest_hour_utc"),
    )


def _summary(
    out: Path, truth: Truth, outcome: Outcome, hours: int, players: int, written: int
) -> SimulationSummary:
    names = ("files", "lines", "rows", "quarantined", "duplicates")
    sums = pl.concat(truth.hours).select(pl.col(names).sum()).row(0, named=True)
    return SimulationSummary(
        out=out,
        hours=hours,
        players=players,
        sessions=outcome.sessions.height,
        bytes=written,
        **{name: int(sums[name]) for name in names},
    )
