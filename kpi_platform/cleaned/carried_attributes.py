"""How many events of each service carry the attributes that the platform reads of them.

Belongs here: counting, as pure functions of decoded events. Does not: judging the counts, which is
monitoring's, and writing them.

Copies are counted too: they change no share worth telling.
"""

from collections.abc import Iterable, Iterator

import polars as pl

from kpi_platform.schemas.event_attributes import EVENT_ATTRIBUTES

# Services of an hour that are counted: names come from outside, and anybody can make up more.
MOST_SERVICES = 200
_SERVICE = ["hour", "source", "service_name"]
CARRIED = pl.Schema(
    {
        "hour": pl.Int32(),
        **dict.fromkeys(("source", "service_name", "event_name", "attribute"), pl.String()),
        "events": pl.Int64(),
        "carrying": pl.Int64(),
    }
)


def count_carried(events: pl.DataFrame) -> pl.DataFrame:
    """Count events (`hour`, `source`, `service_name`, `event_name`, `attributes`): `CARRIED`.

    One row per hour, source, service, event and attribute; with a blank attribute per event, and
    with a blank event too for all events of the service, where `carrying` is `events`.
    """
    return pl.concat([CARRIED.to_frame(), *_counts(events)]).select(list(CARRIED))


def _counts(events: pl.DataFrame) -> Iterator[pl.DataFrame]:
    yield _counted(events, "")
    for name, attributes in EVENT_ATTRIBUTES.items():
        named = events.filter(pl.col("event_name") == name)
        if named.is_empty():
            continue
        yield _counted(named, name)
        for attribute in attributes:
            yield _counted(named, name, attribute)


def _counted(events: pl.DataFrame, name: str, attribute: str = "") -> pl.DataFrame:
    carrying = _carries(attribute).sum() if attribute else pl.len()
    counts = events.group_by(_SERVICE).agg(
        events=pl.len().cast(pl.Int64), carrying=carrying.cast(pl.Int64)
    )
    return counts.select(
        *_SERVICE,
        event_name=pl.lit(name),
        attribute=pl.lit(attribute),
        events="events",
        carrying="carrying",
    )


def _carries(attribute: str) -> pl.Expr:
    """As decoding writes it, a scalar is its text in quotes; a blank one says nothing."""
    texts = pl.col("attributes").str
    return texts.contains(f'"{attribute}":"', literal=True) & ~texts.contains(
        f'"{attribute}":""', literal=True
    )


def summed(parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """The counts of all parts together, of each hour's services with the most events."""
    keys = [*_SERVICE, "event_name", "attribute"]
    counts = pl.concat([CARRIED.to_frame(), *parts]).group_by(keys).agg(pl.all().sum())
    totals = counts.filter(pl.col("event_name") == "").sort(
        "events", "source", "service_name", descending=[True, False, False]
    )
    kept = totals.filter(pl.int_range(pl.len()).over("hour") < MOST_SERVICES).select(_SERVICE)
    return counts.join(kept, on=_SERVICE, how="semi").sort(keys)
