"""Events as lines of text: tab separated, separated by spaces, or as JSON.

Belongs here: the form of a usable line. Does not: files, compression, broken lines.
"""

import polars as pl

from kpi_platform.simulator.draws import Draws

SPACED_SHARE = 0.004
# What write and truth need of a line.
LINE_COLUMNS = (
    *("hour", "file", "arrival_ms", "uid", "copy", "line"),
    *("is_spread", "is_blank", "stretch", "kind", "event_ms", "transaction_id"),
    *("player_told", "version_told", "device_told", "seconds_told", "amount_minor"),
)


def with_lines(draws: Draws, copies: pl.DataFrame) -> pl.DataFrame:
    """Render every copy of an event as `line` and keep LINE_COLUMNS only."""
    timed = copies.with_columns(timestamp=_timestamp())
    is_spaced = draws.chance("spaced", SPACED_SHARE) & ~pl.col("is_blank")
    tabbed = (pl.col("lane") == 0) & ~is_spaced
    parts = [
        timed.filter(tabbed).with_columns(line=_separated("\t")),
        timed.filter((pl.col("lane") == 0) & is_spaced).with_columns(line=_separated("  ")),
        timed.filter(pl.col("lane") == 1).with_columns(line=_json()),
    ]
    return pl.concat([part.select(LINE_COLUMNS) for part in parts])


def _timestamp() -> pl.Expr:
    local = (pl.col("event_ms") + pl.col("offset_ms")).cast(pl.Datetime("ms"))
    return pl.concat_str(local.dt.to_string("%Y-%m-%dT%H:%M:%S%.3f"), "offset")


def _separated(separator: str) -> pl.Expr:
    # Space at the end of a body does not make a copy another event.
    end = pl.when(pl.col("copy") == 1).then(pl.lit(" ")).otherwise(pl.lit(""))
    fields = ["category", "timestamp", "service", "session_id", "transaction_id"]
    body = pl.concat_str("body", end)
    return pl.concat_str([*(pl.col(name) for name in fields), body], separator=separator)


def _json() -> pl.Expr:
    """Strict bodies are objects of the line, relaxed ones strings."""
    escaped = pl.col("body").str.replace_all('"', '\\"', literal=True)
    quoted = pl.concat_str(pl.lit('"'), escaped, pl.lit('"'))
    return pl.concat_str(
        pl.lit('{"Category": "'),
        "category",
        pl.lit('", "Timestamp": "'),
        "timestamp",
        pl.lit('", "ServiceName": "'),
        "service",
        pl.lit('", "SessionId": "'),
        "session_id",
        pl.lit('", "TransactionId": '),
        "transaction_id",
        pl.lit(', "BodyMessage": '),
        pl.when("is_strict").then("body").otherwise(quoted),
        pl.lit("}"),
    )
