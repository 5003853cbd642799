"""Bodies of telemetry lines -> event names and attributes, whole columns at a time.

Belongs here: decoding columns of bodies. Does not: the grammar itself (`schemas.body_text`), and
what a bad body means for its line.
"""

import polars as pl

from kpi_platform.schemas.body_text import Body, decode_body

BODIES = pl.Schema({"event_name": pl.String, "attributes": pl.String, "reason": pl.String})


def decode_bodies(bodies: pl.Series) -> pl.DataFrame:
    """Decode a column of bodies: one row per body, in order.

    Columns: `event_name` (null if none), `attributes` (canonical JSON text without `Name`, null
    if the body is bad), `reason` (null, `bad_body` or `missing_event_name`). A null body is bad.
    """
    return _decode_exactly(bodies)


def _decode_exactly(bodies: pl.Series) -> pl.DataFrame:
    rows = [_row(None if body is None else decode_body(body)) for body in bodies]
    return pl.DataFrame(rows, schema=BODIES, orient="row")


def _row(body: Body | None) -> tuple[str | None, str | None, str | None]:
    if body is None:
        return None, None, "bad_body"
    if body.event_name is None:
        return None, body.attributes, "missing_event_name"
    return body.event_name, body.attributes, None
