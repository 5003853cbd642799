"""The hourly work of `raw_console_feed`: rows of a console platform's files, as they are.

Belongs here: what a row of the raw table is. Does not: what it means, which the mapping says when
events are made.
"""

import polars as pl

from kpi_platform.arrivals.feeds.feed_step import NO_BAD, FeedStep
from kpi_platform.schemas.sources_file.sources import Source
from kpi_platform.schemas.tables import TABLES


class ConsoleStep(FeedStep):
    """Every readable row, with the source it is of; rows are understood when they are cleaned."""

    table = "raw_console_feed"
    kind = "console"
    stage = "read_console"

    def _made(
        self, rows: pl.DataFrame, owner: tuple[str, str, Source]
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        return rows.select(TABLES[self.table].polars_schema.names()), NO_BAD
