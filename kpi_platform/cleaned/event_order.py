"""The order in which the events of an hour are written, found without sorting text.

Belongs here: the order alone. Does not: which events there are.
"""

import polars as pl

_FEED_BITS, _SESSION_BITS, _TIME_BITS, _ID_BITS = 16, 36, 44, 32


def order_events(events: pl.DataFrame) -> pl.Series:
    """Return the places of distinct events by source, service, session hash, time and event id.

    Takes `source` and `service_name` (categorical), `session_hash` (UInt64), `event_at`,
    `event_id` (UInt128). All is packed into one number, since sorting one is several times
    faster than sorting five columns; only where its bits do not suffice, the columns are sorted.
    """
    at = pl.col("event_at").to_physical()
    services = events["service_name"].n_unique()
    columns = events.select(
        feed=_rank("source", events) * services + _rank("service_name", events),
        session=pl.col("session_hash") // (1 << (64 - _SESSION_BITS)),
        at=at - at.min(),
        event_id="event_id",
    )
    return _packed_order(columns) if _fits(columns) else _exact_order(columns)


def _rank(name: str, events: pl.DataFrame) -> pl.Expr:
    texts = events[name].unique().cast(pl.String).sort()
    return pl.col(name).cast(pl.Enum(texts)).to_physical().cast(pl.UInt64)


def _fits(columns: pl.DataFrame) -> bool:
    feed, at = columns.select(pl.col("feed", "at").max().fill_null(0)).row(0)
    return bool(feed < 1 << _FEED_BITS and at < 1 << _TIME_BITS)


def _packed_order(columns: pl.DataFrame) -> pl.Series:
    packed = columns.select(
        _shifted("feed", _SESSION_BITS + _TIME_BITS + _ID_BITS)
        + _shifted("session", _TIME_BITS + _ID_BITS)
        + _shifted("at", _ID_BITS)
        + pl.col("event_id") // pl.lit(1 << (128 - _ID_BITS), pl.UInt128)
    ).to_series()
    order = packed.arg_sort()
    in_order = packed[order]
    # Two events that agree in all these bits are a matter of luck, but must not be one of order.
    return _exact_order(columns) if (in_order == in_order.shift(1)).any() else order


def _shifted(name: str, bits: int) -> pl.Expr:
    return pl.col(name).cast(pl.UInt128) * pl.lit(1 << bits, pl.UInt128)


def _exact_order(columns: pl.DataFrame) -> pl.Series:
    return columns.with_row_index("place").sort(columns.columns)["place"]
