"""Takes old events out of Dagster's state: what happened to each hour last stays, histories end.

Belongs here: which events of Dagster are no longer asked for, and giving their space back. Does
not: when this happens (monitoring), and rows of ours.

Of what is older than the limit stay: the newest materialisation, observation and evaluation of each
asset, check and partition; what was planned by runs that did not succeed, from which Dagster knows
that a partition failed; each asset's newest plan; runs themselves. What goes are the entries before
these, and the logs of runs that ended, with what their steps printed. Dagster has no call for it:
`delete_run` takes the newest entries along.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

import dagster as dg
import sqlalchemy as sa

from kpi_platform.orchestration.dagster_internals import (
    ASSET_EVENT_TAGS,
    CHECK_EXECUTIONS,
    EVENT_LOGS,
    RunsFilter,
    SqlEventLogStorage,
    SqliteEventLogStorage,
)

T = TypeVar("T")

_AT_A_TIME = 500
_ROUND = 100_000
# Give pages back to the disk when they are this share of the file.
_FREE_SHARE = 0.2
_ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
_NEWEST_STAYS = ("ASSET_MATERIALIZATION", "ASSET_OBSERVATION")
_PLANNED = "ASSET_MATERIALIZATION_PLANNED"
# Said once more in `asset_check_executions`, which is what is asked.
_CHECKS = ("ASSET_CHECK_EVALUATION", "ASSET_CHECK_EVALUATION_PLANNED")
# That a run started or ended, and that an hour failed: few, and sensors look for them.
_KEPT = (
    *_NEWEST_STAYS,
    *(_PLANNED, "ASSET_FAILED_TO_MATERIALIZE"),
    *("PIPELINE_ENQUEUED", "PIPELINE_DEQUEUED", "PIPELINE_STARTING", "PIPELINE_START"),
    *("PIPELINE_SUCCESS", "PIPELINE_FAILURE", "PIPELINE_CANCELING", "PIPELINE_CANCELED"),
)


@dataclass(frozen=True)
class Pruned:
    """What went: entries of assets and checks, runs whose logs went, and the bytes of the event
    log before and after (0 where the database does not tell)."""

    events: int
    evaluations: int
    runs: int
    bytes_before: int
    bytes_after: int


def prune_events(instance: dg.DagsterInstance, before: datetime) -> Pruned:
    """Take out what is older than `before` (UTC) and no longer asked for.

    Runs may go on meanwhile: each transaction takes a part. Only SQL storages can be pruned: others
    raise TypeError.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        raise TypeError(f"{type(storage).__name__} is no SQL storage: its events cannot be pruned")
    size = _size(storage)
    failed = _unsuccessful(instance, storage, before)
    evaluations = _prune_checks(storage, before, failed)
    events = _prune_assets(storage, before, failed)
    logs = _SqliteLogs(storage) if isinstance(storage, SqliteEventLogStorage) else _SqlLogs(storage)
    runs = 0
    for some in _parts(_ended(instance, logs.runs_before(before), before)):
        logs.remove(some)
        for run_id in some:
            with suppress(NotImplementedError):
                instance.compute_log_manager.delete_logs(prefix=[run_id])
        runs += len(some)
    logs.give_back(events + evaluations + runs)
    return Pruned(events, evaluations, runs, size, _size(storage))


def _parts(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), _AT_A_TIME):
        yield values[start : start + _AT_A_TIME]


def _naive(at: datetime) -> datetime:
    """Dagster keeps times in UTC without saying so."""
    return at.replace(tzinfo=None)


def _unsuccessful(
    instance: dg.DagsterInstance, storage: SqlEventLogStorage, before: datetime
) -> set[str]:
    """The runs with plans of that time that did not succeed, or that are not known any more."""
    logs = EVENT_LOGS.c
    query = sa.select(logs.run_id).distinct()
    query = query.where(logs.dagster_event_type == _PLANNED, logs.timestamp < _naive(before))
    with storage.index_connection() as connection:
        planned = [row[0] for row in connection.execute(query)]
    well: set[str] = set()
    for some in _parts(planned):
        wanted = RunsFilter(run_ids=list(some), statuses=[dg.DagsterRunStatus.SUCCESS])
        well.update(record.dagster_run.run_id for record in instance.get_run_records(wanted))
    return set(planned) - well


def _ended(instance: dg.DagsterInstance, run_ids: Sequence[str], before: datetime) -> list[str]:
    """Those of these runs that ended before."""
    ended: list[str] = []
    for some in _parts(run_ids):
        wanted = RunsFilter(run_ids=list(some), statuses=list(_ENDED), updated_before=before)
        ended += [record.dagster_run.run_id for record in instance.get_run_records(wanted)]
    return ended


def _prune_assets(storage: SqlEventLogStorage, before: datetime, failed: set[str]) -> int:
    logs = EVENT_LOGS.c
    is_old = logs.timestamp < _naive(before)
    of_partition = (logs.asset_key, logs.dagster_event_type, logs.partition)
    newest = _newest(logs.id, of_partition, logs.dagster_event_type.in_(_NEWEST_STAYS))
    newest_plan = _newest(logs.id, (logs.asset_key,), logs.dagster_event_type == _PLANNED)
    is_unasked = sa.or_(
        logs.dagster_event_type.in_(_CHECKS),
        sa.and_(logs.dagster_event_type.in_(_NEWEST_STAYS), logs.id.not_in(newest)),
        sa.and_(logs.dagster_event_type == _PLANNED, logs.id.not_in(newest_plan)),
    )
    query = sa.select(logs.id, logs.run_id, logs.dagster_event_type).where(is_old, is_unasked)
    return _prune(
        storage,
        query,
        lambda run_id, kind: kind != _PLANNED or run_id not in failed,
        ((EVENT_LOGS, logs.id), (ASSET_EVENT_TAGS, ASSET_EVENT_TAGS.c.event_id)),
    )


def _prune_checks(storage: SqlEventLogStorage, before: datetime, failed: set[str]) -> int:
    checks = CHECK_EXECUTIONS.c
    of_partition = (checks.asset_key, checks.check_name, checks.partition)
    newest = _newest(checks.id, of_partition, sa.true())
    is_done = checks.execution_status != "PLANNED"
    newest_done = _newest(checks.id, of_partition, is_done)
    query = sa.select(checks.id, checks.run_id, checks.execution_status).where(
        checks.create_timestamp < _naive(before),
        checks.id.not_in(newest),
        checks.id.not_in(newest_done),
    )
    return _prune(
        storage,
        query,
        lambda run_id, status: status != "PLANNED" or run_id not in failed,
        ((CHECK_EXECUTIONS, checks.id),),
    )


def _newest(
    number: sa.Column[int], by: Sequence[sa.Column[str]], where: sa.ColumnElement[bool]
) -> sa.Select[int]:
    return sa.select(sa.func.max(number)).where(where).group_by(*by)


def _prune(
    storage: SqlEventLogStorage,
    query: sa.Select[int, str, str],
    may_go: Callable[[str, str], bool],
    tables: Sequence[tuple[sa.Table, sa.Column[int]]],
) -> int:
    """Delete the rows that `query` (id, run, kind) finds and that may go, from these tables by
    their columns with the id; how many."""
    number = query.selected_columns[0]
    last, count = -1, 0
    while True:
        page = query.where(number > last).order_by(number).limit(_ROUND)
        with storage.index_connection() as connection:
            rows = connection.execute(page).fetchall()
        if not rows:
            return count
        last = rows[-1][0]
        ids = [row[0] for row in rows if may_go(row[1], row[2])]
        for some in _parts(ids):
            with storage.index_connection() as connection:
                for table, column in tables:
                    connection.execute(sa.delete(table).where(column.in_(some)))
        count += len(ids)


class _Logs(Protocol):
    """Where the logs of single runs are."""

    def runs_before(self, before: datetime) -> list[str]:
        """Runs that have a log of that time, ended or not."""

    def remove(self, run_ids: Sequence[str]) -> None:
        """Remove the logs of these runs."""

    def give_back(self, removed: int) -> None:
        """Let the database give the space of `removed` entries back."""


class _SqliteLogs:
    """A file for each run, beside the index over all of them."""

    def __init__(self, storage: SqliteEventLogStorage) -> None:
        self._storage = storage

    def runs_before(self, before: datetime) -> list[str]:
        files = ((name, Path(self._storage.path_for_shard(name))) for name in self._all())
        return [name for name, file in files if file.stat().st_mtime < before.timestamp()]

    def _all(self) -> list[str]:
        return [name for name in self._storage.get_all_run_ids() if name]

    def remove(self, run_ids: Sequence[str]) -> None:
        for run_id in run_ids:
            for end in ("", "-wal", "-shm"):
                Path(self._storage.path_for_shard(run_id) + end).unlink(missing_ok=True)

    def give_back(self, removed: int) -> None:
        """Only if it is worth it: all of the file is written anew. Who reads or writes waits."""
        path = self._storage.path_for_shard("index")
        with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as connection:
            pages, free = (
                connection.execute(f"pragma {name}").fetchone()[0]
                for name in ("page_count", "freelist_count")
            )
            if free > pages * _FREE_SHARE:
                connection.execute("vacuum")
            connection.execute("pragma wal_checkpoint(truncate)")


class _SqlLogs:
    """All events of all runs in one table."""

    def __init__(self, storage: SqlEventLogStorage) -> None:
        self._storage = storage

    def runs_before(self, before: datetime) -> list[str]:
        logs = EVENT_LOGS.c
        query = sa.select(logs.run_id).distinct()
        query = query.where(logs.timestamp < _naive(before), self._is_log())
        with self._storage.index_connection() as connection:
            return [row[0] for row in connection.execute(query) if row[0]]

    def _is_log(self) -> sa.ColumnElement[bool]:
        kind = EVENT_LOGS.c.dagster_event_type
        return sa.or_(kind.is_(None), kind.not_in(_KEPT))

    def remove(self, run_ids: Sequence[str]) -> None:
        of_runs = EVENT_LOGS.c.run_id.in_(run_ids)
        with self._storage.index_connection() as connection:
            connection.execute(sa.delete(EVENT_LOGS).where(of_runs, self._is_log()))

    def give_back(self, removed: int) -> None:
        """PostgreSQL reuses the space after `vacuum`; where most went, the tables are written anew,
        unless others use them."""
        tables = [EVENT_LOGS.name, CHECK_EXECUTIONS.name, ASSET_EVENT_TAGS.name]
        with self._storage.index_connection() as connection:
            engine = connection.engine
            stays = connection.execute(sa.select(sa.func.count()).select_from(EVENT_LOGS)).scalar()
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("set lock_timeout = '10s'"))
            how = "vacuum (full, analyze)" if removed > (stays or 0) else "vacuum (analyze)"
            for table in tables:
                with suppress(sa.exc.OperationalError):
                    connection.execute(sa.text(f"{how} {table}"))


def _size(storage: SqlEventLogStorage) -> int:
    """Bytes of the event log, runs' logs included."""
    if isinstance(storage, SqliteEventLogStorage):
        folder = Path(storage.path_for_shard("index")).parent
        return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    tables = (EVENT_LOGS.name, CHECK_EXECUTIONS.name, ASSET_EVENT_TAGS.name)
    query = sa.text(
        "select " + " + ".join(f"pg_total_relation_size('{table}')" for table in tables)
    )
    with storage.index_connection() as connection:
        return int(connection.execute(query).scalar() or 0)
