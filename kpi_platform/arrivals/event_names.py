"""Bodies as they arrive -> the names of their events, without decoding what need not be.

Belongs here: reading `Name` off a body. Does not: attributes, and whether the body is usable.
"""

import polars as pl

from kpi_platform.schemas.body_text import EVENT_NAME_KEY, decode_body

# Exact if `Name` stands in the body once and first: nothing later can override it.
_NAME_FIRST = r"""^\{ ?['"]Name['"] ?: ?(?:'([^'"\\]+)'|"([^'"\\]+)") ?[,}]"""


def read_event_names(bodies: pl.Series) -> pl.Series:
    """Return the event name of each body, null if it has none or cannot be decoded.

    A body that names its event first and breaks later may still show its name here.
    """
    frame = bodies.alias("body").to_frame().select(
        "body",
        first=pl.coalesce(
            pl.col("body").str.extract(_NAME_FIRST, 1), pl.col("body").str.extract(_NAME_FIRST, 2)
        ),
        once=pl.col("body").str.count_matches(EVENT_NAME_KEY, literal=True) == 1,
        escaped=pl.col("body").str.contains("\\", literal=True),
    )
    easy = frame["first"].is_not_null() & frame["once"] & ~frame["escaped"]
    blank = frame["first"].str.strip_chars(" \t") == ""
    names = frame["first"].set(~easy | blank.fill_null(value=False), None)
    rest = (~easy).arg_true()
    if not len(rest):
        return names.alias("event_name")
    exact = [None if (body := decode_body(t)) is None else body.event_name for t in bodies[rest]]
    return names.scatter(rest, pl.Series(exact, dtype=pl.String)).alias("event_name")
