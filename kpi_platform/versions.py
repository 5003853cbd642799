"""The version history for programs: which version was in effect, for one player or many events.

Belongs here: opening a lake and asking its intervals so that little of them is read. Does not:
what "in effect" means (history/lookup.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import polars as pl
from deltalake import DeltaTable

from kpi_platform.history.lookup import version_at as in_effect
from kpi_platform.history.lookup import versions_as_of
from kpi_platform.settings import load_settings
from kpi_platform.storage.lake.delta.delta_tables import plain_root
from kpi_platform.storage.lake.delta.lake_files import files_of, scan_files
from kpi_platform.storage.lake.lake_root import LakeError, LakeRoot

TABLE = "user_version_intervals"
_INSTANT = pl.Datetime("us", "UTC")
# A test holds both against the table's contract, which takes longer to load than a lookup.
_SCHEMA = pl.Schema(
    {
        **dict.fromkeys(("player_id", "service_name", "device", "version"), pl.String()),
        **dict.fromkeys(("valid_from", "valid_to"), _INSTANT),
        "p_state": pl.String(),
        "p_month": pl.Date(),
    }
)
_LAID_OUT = ["p_state", "p_month"]
_COLUMNS = [name for name in _SCHEMA if name not in _LAID_OUT]


@dataclass(frozen=True)
class _Layout:
    """The table's columns and folders, as its contract has them."""

    polars_schema: pl.Schema = field(default_factory=lambda: _SCHEMA)
    partition_by: Sequence[str] = tuple(_LAID_OUT)


def version_at(
    player_id: str,
    at: datetime,
    service: str | None = None,
    device: str | None = None,
    lake: str | None = None,
) -> pl.DataFrame:
    """Return the versions in effect for a player at the instant `at`; empty if there is none.

    One row per service and device (narrowed by `service` and `device`), sorted by them, with
    `player_id`, `service_name`, `device`, `version`, `valid_from`, `valid_to` (UTC; null: until
    now). `lake` is a folder or `s3://bucket/prefix`; the settings' lake if not given. Raises
    ValueError if `at` has no time zone, LakeError if the lake cannot be read or holds no tables.
    """
    return Versions(lake).at(player_id, at, service, device)


class Versions:
    """The intervals of a lake as they were when opened, for many questions; see `refresh`."""

    def __init__(self, lake: str | None = None) -> None:
        """Raises LakeError if the lake cannot be read or holds no tables at all."""
        self._lake = LakeRoot(load_settings().lake if lake is None else lake)
        self._root = plain_root(self._lake.path(TABLE))
        self._snapshot = self._open()
        self._files = self._listed()
        if self._snapshot is None:
            self._lake.require()

    def refresh(self) -> None:
        """See what was committed since. Raises LakeError if the lake cannot be read."""
        self._snapshot = self._open()
        self._files = self._listed()

    def at(
        self, player_id: str, at: datetime, service: str | None = None, device: str | None = None
    ) -> pl.DataFrame:
        """As `version_at`."""
        files = self._files.filter(_may_be_in_effect(at) & _may_hold(self._files, player_id))
        intervals = (
            self._scan(files).filter(pl.col("player_id") == player_id).select(_COLUMNS).collect()
        )
        return in_effect(intervals, player_id, at, service, device)

    def as_of(self, events: pl.DataFrame) -> pl.DataFrame:
        """Return `events` (`player_id`, `at`, perhaps `service_name` and `device`) with the
        version in effect at each, in their order: see `versions_as_of` in history/lookup.py."""
        players = events.lazy().select("player_id").unique()
        rows = self._scan(self._files).select(_COLUMNS).join(players, on="player_id", how="semi")
        return versions_as_of(events, rows.collect(engine="streaming"))

    def _open(self) -> DeltaTable | None:
        snapshot = self._lake.open(TABLE)
        if snapshot is not None and snapshot.metadata().partition_columns != _LAID_OUT:
            raise LakeError(
                f"KPI_LAKE_URI: {self._lake.path(TABLE)} was laid out by an earlier release: make"
                " the lake anew"
            )
        return snapshot

    def _listed(self) -> pl.DataFrame:
        """The files as the log tells of them: asking Polars for the table loads PyArrow."""
        if self._snapshot is None:
            return pl.DataFrame(schema={"path": pl.String(), **_SCHEMA})
        return files_of(self._snapshot)

    def _scan(self, files: pl.DataFrame) -> pl.LazyFrame:
        return scan_files(self._root, _Layout(), files)


def _may_be_in_effect(at: datetime) -> pl.Expr:
    """False for the partitions whose intervals all ended before `at` or began after it."""
    month, in_month = at.astimezone(UTC).date().replace(day=1), pl.col("p_month")
    is_open = pl.col("p_state") == "open"
    return (is_open & (in_month <= month)) | (~is_open & (in_month >= month))


def _may_hold(files: pl.DataFrame, player_id: str) -> pl.Expr:
    """False for the files of which the log says that all players are others."""
    least, greatest = (
        pl.col(name) if name in files.columns else pl.lit(None, pl.String)
        for name in ("min.player_id", "max.player_id")
    )
    return ((least <= player_id) & (greatest >= player_id)).fill_null(value=True)
