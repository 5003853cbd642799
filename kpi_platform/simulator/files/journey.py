"""The way of events to us: late, twice, in another hour, in another file.

Belongs here: the ingest hour and file of every copy of an event. Does not: text, broken lines.
"""

import polars as pl

from kpi_platform.simulator.draws import Draws
from kpi_platform.simulator.files.file_codes import AGAIN, LATE, PART, file_code
from kpi_platform.simulator.files.schedule import Schedule
from kpi_platform.simulator.people.events import CODE
from kpi_platform.simulator.people.sessions import HOUR_MS

# What lines and truth need of an event once its arrival is known.
_CARRIED = (
    *("source_index", "service", "session_id", "category", "lane", "offset", "offset_ms"),
    *("is_strict", "is_blank", "stretch", "uid", "kind", "event_ms", "transaction_id", "body"),
    *("player_told", "version_told", "device_told", "seconds_told", "amount_minor"),
)


def deliver(draws: Draws, events: pl.DataFrame, schedule: Schedule, start_ms: int) -> pl.DataFrame:
    """Return one row per copy that arrives: the event with arrival_ms, copy, hour and file.

    `hour` counts ingest hours from the start, `file` is a file code. Copies of an event in more
    than one hour are marked `is_spread`. Events that would arrive after the last hour are left
    out.
    """
    copies = _with_copies(draws, events.select(*_CARRIED, _arrival_ms(draws)))
    copies = copies.with_columns(
        hour=(pl.col("arrival_ms") - start_ms) // HOUR_MS, form=pl.lit(PART, dtype=pl.Int8)
    ).with_columns(origin=pl.lit(0, dtype=pl.Int64))
    copies = copies.filter(pl.col("hour") < schedule.hours)
    # Only few hours are touched: leave the rest alone, the joins copy every column.
    cell = pl.col("source_index") * schedule.hours + pl.col("hour")
    touched = pl.concat(
        [frame.select(cell) for frame in (schedule.delivery(), schedule.late)]
    ).to_series()
    is_touched = cell.is_in(touched.implode())
    moved = _late(_shifted(copies.filter(is_touched), schedule), schedule)
    there = pl.concat([copies.filter(~is_touched), moved.select(copies.columns)])
    return _resent(there, schedule).with_columns(file=file_code()).drop("form", "origin")


def _arrival_ms(draws: Draws) -> pl.Expr:
    transit = draws.unit("transit")
    delay = (transit * transit * transit * 90_000).cast(pl.Int64)
    late = (draws.log_uniform("late", 1 / 60, 72) * HOUR_MS).cast(pl.Int64)
    sign_in = pl.col("kind").is_in([CODE["SessionStart"], CODE["AccountLinked"]])
    sent_ms = pl.col("start_ms") + pl.col("length_ms") + pl.col("offline_ms")
    sent_ms = pl.coalesce(sent_ms, "true_ms")
    whole = sent_ms + delay + pl.when(draws.chance("is late", 0.003)).then(late).otherwise(0)
    sign_in_delay = pl.when(sign_in).then("sign_in_delay_ms").otherwise(0)
    return (whole + sign_in_delay).alias("arrival_ms")


def _with_copies(draws: Draws, events: pl.DataFrame) -> pl.DataFrame:
    """Add exact resends: of single events, at once or hours later, in another offset notation."""
    events = events.with_columns(
        copy=pl.lit(0, dtype=pl.Int8), is_spread=draws.chance("copy later", 0.002)
    )
    at_once = events.filter(draws.chance("copy at once", 0.003)).with_columns(
        copy=pl.lit(1, dtype=pl.Int8), offset=pl.lit("Z"), offset_ms=pl.lit(0, dtype=pl.Int64)
    )
    wait_ms = (draws.log_uniform("copy wait", 0.5, 40) * HOUR_MS).cast(pl.Int64)
    later = events.filter("is_spread").with_columns(
        copy=pl.lit(2, dtype=pl.Int8), arrival_ms=pl.col("arrival_ms") + wait_ms
    )
    return pl.concat([events, at_once, later])


def _shifted(copies: pl.DataFrame, schedule: Schedule) -> pl.DataFrame:
    """Move what falls into a missing or empty hour to the next hour that delivers."""
    gaps = schedule.delivery().with_columns(is_gap=pl.lit(value=True))
    joined = copies.join(gaps, on=["source_index", "hour"], how="left")
    hour = pl.when("is_gap").then("delivered_hour").otherwise("hour")
    return joined.with_columns(hour=hour).drop("delivered_hour", "is_gap").drop_nulls("hour")


def _late(copies: pl.DataFrame, schedule: Schedule) -> pl.DataFrame:
    """Move whole files to a later hour."""
    joined = copies.join(schedule.late, on=["source_index", "hour", "lane"], how="left")
    is_late = pl.col("late_hour").is_not_null()
    return joined.with_columns(
        form=pl.when(is_late).then(pl.lit(LATE, dtype=pl.Int8)).otherwise("form"),
        origin=pl.when(is_late).then("hour").otherwise("origin"),
        hour=pl.coalesce("late_hour", "hour"),
    ).drop("late_hour")


def _resent(copies: pl.DataFrame, schedule: Schedule) -> pl.DataFrame:
    """Send whole files a second time, in the same hour or a later one."""
    key = ["source_index", "hour", "lane"]
    cell = (pl.col("source_index") * schedule.hours + pl.col("hour")) * 2 + pl.col("lane")
    moves = schedule.again.filter(pl.col("again_hour") != pl.col("hour"))
    is_part = pl.col("form") == PART
    is_again = is_part & cell.is_in(schedule.again.select(cell).to_series().implode())
    is_moving = is_part & cell.is_in(moves.select(cell).to_series().implode())
    copies = copies.with_columns(is_spread=pl.col("is_spread") | is_moving)
    again = copies.filter(is_again).join(schedule.again, on=key)
    again = again.with_columns(form=pl.lit(AGAIN, dtype=pl.Int8), origin="hour", hour="again_hour")
    return pl.concat([copies, again.select(copies.columns)])
