"""Builds both history tables anew from all sightings and sessions, some players at a time.

Belongs here: how all of them are gone through with bounded memory. Does not: the fold.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import polars as pl

from kpi_platform.engine.hour_steps import Done
from kpi_platform.history.history_step import HistoryStep
from kpi_platform.history.sightings import attribute_sightings
from kpi_platform.history.stored import sessions_of
from kpi_platform.history.timeline import fold_history, intervals, user_version_intervals
from kpi_platform.schemas.fingerprints import content_fingerprint
from kpi_platform.schemas.tables import TABLES
from kpi_platform.storage.lake.lake import Lake, hours_of

ROWS_AT_A_TIME = 1_000_000
_BUCKET = "_bucket"


class SightingsStep(HistoryStep):
    """The hourly work of `sightings` alone: players are not brought up to date hour by hour."""

    def run(self, hours: Sequence[datetime]) -> Mapping[datetime, Done]:
        """Replace the hours' sightings."""
        seen = self._sightings_of(hours)
        self._lake.replace_hours("sightings", seen, hours)
        return {
            hour: Done(content_fingerprint(part), part.height)
            for hour, part in hours_of(seen, hours).items()
        }

    def fold_waiting(self) -> None:
        """Leave the queue alone: every player is brought up to date at the end."""


def rebuild_history(lake: Lake, target: Lake) -> None:
    """Write `user_version_history` and `user_version_intervals` of `lake` into those of `target`,
    which are empty; it may be the same lake.

    Equal to what hourly runs leave, row for row. Attributed sightings are first laid apart by
    player in temporary files, so that memory holds `ROWS_AT_A_TIME` sightings and no more of them.
    """
    count = lake.scan("sightings").select(pl.len()).collect().item()
    with tempfile.TemporaryDirectory(prefix="kpi-history-") as name:
        folder = Path(name)
        _lay_apart(lake, folder, max(1, count // ROWS_AT_A_TIME))
        for bucket in sorted(folder.iterdir()):
            runs = intervals(pl.read_ipc(bucket / "*.arrow"))
            for table, rows in (
                ("user_version_intervals", user_version_intervals(runs)),
                ("user_version_history", fold_history(runs)),
            ):
                target.append(table, rows.select(TABLES[table].polars_schema.names()))


def _lay_apart(lake: Lake, folder: Path, buckets: int) -> None:
    number = pl.col("player_id").hash(seed=0) % buckets
    for turn, seen in enumerate(_some_days(lake)):
        attributed = attribute_sightings(seen, sessions_of(lake, seen))
        parts = attributed.with_columns(number.alias(_BUCKET)).partition_by(
            _BUCKET, as_dict=True, include_key=False
        )
        for (bucket,), rows in parts.items():
            path = folder / f"{bucket}"
            path.mkdir(exist_ok=True)
            rows.write_ipc(path / f"{turn}.arrow")


def _some_days(lake: Lake) -> Iterator[pl.DataFrame]:
    """All sightings, some whole ingest dates at a time."""
    table = lake.scan("sightings")
    date = pl.col("p_ingest_date_utc")
    counts = table.group_by(date).agg(pl.len()).sort(date).collect()
    turns = counts.with_columns(turn=pl.col("len").cum_sum() // ROWS_AT_A_TIME)
    for _, dates in turns.group_by("turn", maintain_order=True):
        yield table.filter(date.is_in(dates["p_ingest_date_utc"].implode())).collect()
