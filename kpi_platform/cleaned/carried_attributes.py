"""How many events of each service carry the attributes that the platform reads of them.

Belongs here: counting, as pure functions of decoded events. Does not: judging the counts, which is
monitoring's, and writing them.

Copies are counted too: they change no share worth telling.
"""

from collections.abc import Iterable

import polars as pl

from kpi_platform.schemas.event_attributes import EVENT_ATTRIBUTES

# Services of an hour that are counted: names come from outside, and anybody can make up more.
MOST_SERVICES = 200
_SERVICE = ["hour", "source", "service_name"]
_ATTRIBUTES = sorted({name for names in EVENT_ATTRIBUTES.values() for name in names})
_READ = pl.DataFrame(
    [(event, name) for event, names in EVENT_ATTRIBUTES.items() for name in names],
    {"event_name": pl.String, "attribute": pl.String},
    orient="row",
)
CARRIED = pl.Schema(
    {
        "hour": pl.Int32(),
        **dict.fromkeys(("source", "service_name", "event_name", "attribute"), pl.String()),
        "events": pl.Int64(),
        "carrying": pl.Int64(),
    }
)


def count_carried(events: pl.DataFrame, looked_at: pl.DataFrame) -> pl.DataFrame:
    """Count events (`hour`, `source`, `service_name`, `event_name`, `attributes`): `CARRIED`.

    One row per hour, source, service, event and attribute, of those `looked_at`, some of the events
    or all; with a blank attribute per event, and with a blank event too for all events of the
    service, where `carrying` is `events`, of all.
    """
    event = [*_SERVICE, "event_name"]
    number = pl.len().cast(pl.Int64).alias("events")
    named = events.group_by(event).agg(number)
    services = named.group_by(_SERVICE).agg(pl.col("events").sum())
    is_read = pl.col("event_name").is_in(list(EVENT_ATTRIBUTES))
    known = named.filter(is_read)
    carries = (_carries(name).sum().cast(pl.Int64).alias(name) for name in _ATTRIBUTES)
    counts = looked_at.filter(is_read).group_by(event).agg(number, *carries)
    carried = counts.unpivot(
        _ATTRIBUTES,
        index=[*_SERVICE, "event_name", "events"],
        variable_name="attribute",
        value_name="carrying",
    ).join(_READ, on=["event_name", "attribute"], how="semi")
    blank = {"attribute": pl.lit(""), "carrying": pl.col("events")}
    parts = (
        services.with_columns(event_name=pl.lit(""), **blank),
        known.with_columns(**blank),
        carried,
    )
    return pl.concat(part.select(list(CARRIED)) for part in parts)


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
