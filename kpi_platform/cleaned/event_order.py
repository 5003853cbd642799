"""Which of the decoded events are written and in which order, found without sorting text.

Belongs here: copies and order. Does not: what makes two lines the same event.
"""

import polars as pl

_FEED_BITS, _SESSION_BITS, _TIME_BITS, _ID_BITS = 16, 36, 44, 32


def order_distinct(events: pl.DataFrame) -> pl.Series:
    """Return the places of events by hour, source, service, session hash, time and event id.

    Takes `hour` (Int32), `source` and `service_name` (categorical), `session_hash` (UInt64),
    `event_at`, `event_id` (UInt128). Of copies, which share hour and id, one has a place. All is
    packed into one number, since sorting one is several times faster than sorting six columns;
    only where its bits do not suffice, the columns are sorted.
    """
    at = pl.col("event_at").to_physical()
    sources, services = events["source"].n_unique(), events["service_name"].n_unique()
    hours = (pl.col("hour") - pl.col("hour").min()).cast(pl.UInt64)
    columns = events.select(
        feed=(hours * sources + _rank("source", events)) * services + _rank("service_name", events),
        session=pl.col("session_hash") // (1 << (64 - _SESSION_BITS)),
        at=at - at.min(),
        event_id="event_id",
    )
    order = _packed_order(columns) if _fits(columns) else None
    return _exact_order(columns) if order is None else order


def _rank(name: str, events: pl.DataFrame) -> pl.Expr:
    texts = events[name].unique().cast(pl.String).sort()
    return pl.col(name).cast(pl.Enum(texts)).to_physical().cast(pl.UInt64)


def _fits(columns: pl.DataFrame) -> bool:
    feed, at = columns.select(pl.col("feed", "at").max().fill_null(0)).row(0)
    return bool(feed < 1 << _FEED_BITS and at < 1 << _TIME_BITS)


def _packed_order(columns: pl.DataFrame) -> pl.Series | None:
    """The places, or None if two different events agree in all bits: a matter of luck, which
    must not decide about order."""
    packed = columns.select(
        _shifted("feed", _SESSION_BITS + _TIME_BITS + _ID_BITS)
        + _shifted("session", _TIME_BITS + _ID_BITS)
        + _shifted("at", _ID_BITS)
        + pl.col("event_id") // pl.lit(1 << (128 - _ID_BITS), pl.UInt128)
    ).to_series()
    order = packed.arg_sort()
    agree = _equal_those_before(packed[order])
    if not agree.any():
        return order
    copies = _equal_those_before(columns["event_id"][order])
    return None if (agree & ~copies).any() else order.filter(~agree)


def _shifted(name: str, bits: int) -> pl.Expr:
    return pl.col(name).cast(pl.UInt128) * pl.lit(1 << bits, pl.UInt128)


def _exact_order(columns: pl.DataFrame) -> pl.Series:
    in_order = columns.with_row_index("place").sort(columns.columns)
    copies = _equal_those_before(in_order["event_id"]) & _equal_those_before(in_order["feed"])
    return in_order["place"].filter(~copies)


def _equal_those_before(values: pl.Series) -> pl.Series:
    return (values == values.shift(1)).fill_null(value=False)
