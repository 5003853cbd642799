"""Dagster's events on this machine, written many at a time.

Belongs here: when events are written. Does not: what is written, which is Dagster's own code.

Dagster writes each event in transactions of its own, five to eight milliseconds each; a range of
hours has a hundred events an hour. Here they wait for each other, at most a second, and one
transaction per database takes them all. Whatever reads sees them: a connection is only given out
when nothing waits. A process that is killed loses the last second of its events; the hours that
they tell of are done, and the same command records them as unchanged.
"""

import atexit
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from dagster import DagsterEventType
from dagster._core.events.log import EventLogEntry
from dagster._core.instance import RUNLESS_RUN_ID
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DatabaseError

from kpi_platform.orchestration.packed_events import pack_events
from kpi_platform.settings import SettingsError

_DISK = re.compile("disk|readonly|unable to open|malformed|not a database")
EVENTS_AT_A_TIME = 1000
SECONDS_AT_MOST = 1.0
# Events of which there are many in a run, and for which nobody waits.
_MANY = {
    DagsterEventType.ASSET_MATERIALIZATION,
    DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    DagsterEventType.ASSET_CHECK_EVALUATION,
    DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
    DagsterEventType.ASSET_OBSERVATION,
    DagsterEventType.STEP_INPUT,
    DagsterEventType.STEP_OUTPUT,
    DagsterEventType.HANDLED_OUTPUT,
    DagsterEventType.LOADED_INPUT,
    DagsterEventType.STEP_START,
    DagsterEventType.STEP_SUCCESS,
    DagsterEventType.ENGINE_EVENT,
    DagsterEventType.LOGS_CAPTURED,
    DagsterEventType.RESOURCE_INIT_STARTED,
    DagsterEventType.RESOURCE_INIT_SUCCESS,
}


class BatchedEventLogStorage(SqliteEventLogStorage):
    """Dagster's event log in SQLite files below a folder, in batches, each event packed."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        """Open the event log below `base_dir`."""
        self._waiting: list[EventLogEntry] = []
        self._shared: dict[str, Connection] | None = None
        # Per asset and kind of event the newest of a batch, which is what is kept of the asset.
        self._newest: dict[tuple[str, str], tuple[EventLogEntry, int]] = {}
        self._tables: set[str] = set()
        self._stack = ExitStack()
        self._timer: threading.Timer | None = None
        self._lock = threading.RLock()
        pack_events()
        super().__init__(base_dir, inst_data)
        atexit.register(self.flush)

    @property  # type: ignore[override]
    def _db_lock(self) -> threading.RLock:
        """Dagster's lock around its connections: a batch holds it while Dagster's code asks for it,
        so it must be reentrant, which the one that Dagster sets is not."""
        return self._lock

    @_db_lock.setter
    def _db_lock(self, lock: object) -> None:
        """What Dagster sets is not used."""

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event: now if somebody may wait for it, else within a second."""
        with self._db_lock:
            self._waiting.append(event)
            is_one_of_many = not event.is_dagster_event or event.dagster_event_type in _MANY
            may_wait = is_one_of_many and event.run_id not in ("", RUNLESS_RUN_ID)
            if not may_wait or len(self._waiting) >= EVENTS_AT_A_TIME:
                self.flush()
            elif self._timer is None:
                self._timer = threading.Timer(SECONDS_AT_MOST, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Write what waits, in one transaction per database; one by one if that is refused."""
        with self._db_lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            events, self._waiting = self._waiting, []
            if len(events) > 1 and self._write_together(events):
                return
            for event in events:
                super().store_event(event)

    def dispose(self) -> None:
        """Write what waits, then let go."""
        self.flush()
        super().dispose()

    def has_table(self, table_name: str) -> bool:
        """Whether there is such a table; one that was there is not asked for again.

        Dagster asks for each event of a check, by an engine and a connection of their own.
        """
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def _write_together(self, events: list[EventLogEntry]) -> bool:
        try:
            with ExitStack() as self._stack:
                self._shared, self._newest = {}, {}
                for event in events:
                    super().store_event(event)
                with self.index_transaction() as index:
                    for event, number in self._newest.values():
                        super()._store_asset_event(index, event, number)
        except Exception:  # noqa: BLE001 (nothing was written: each event says for itself what is wrong)
            return False
        finally:
            self._shared = None
        return True

    def _store_asset_event(self, conn: Connection, event: EventLogEntry, event_id: int) -> None:
        """Keep an asset's newest event: in a batch once for each asset and kind, after the others.

        Dagster tries to insert a row that is there, and then changes it, for each event.
        """
        told = event.dagster_event
        if self._shared is None or told is None or told.asset_key is None:
            super()._store_asset_event(conn, event, event_id)
            return
        key = (told.asset_key.to_string(), told.event_type_value)
        # To the end: what came last is written last.
        self._newest.pop(key, None)
        self._newest[key] = (event, event_id)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            if self._shared is not None and shard in self._shared:
                yield self._shared[shard]
                return
            if not Path(self.path_for_shard(shard)).exists():
                # Upkeep removes the logs of old runs: who looks for one finds it empty.
                self._initialized_dbs.discard(shard)
            if self._shared is None:
                self.flush()
                with self._naming_the_place(), super()._connect(shard) as connection:
                    yield connection
                return
            self._shared[shard] = self._stack.enter_context(super()._connect(shard))
            yield self._shared[shard]

    @contextmanager
    def _naming_the_place(self) -> Iterator[None]:
        """Say of a full or damaged disk which place it is about, which SQLite does not."""
        try:
            yield
        except DatabaseError as error:
            if not _DISK.search(str(error.orig)):
                raise
            raise SettingsError(
                f"KPI_HOME: {self._base_dir}: Dagster's state cannot be written or read"
                f" ({error.orig}): see the room on its disk and the rights, then run the same again"
            ) from None


class HomeStorage(DagsterSqliteStorage):
    """Dagster's state in SQLite files below a folder: its own, but for the event log."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        """Open the state below `base_dir`."""
        super().__init__(base_dir, inst_data)
        self._event_log_storage = BatchedEventLogStorage(self._event_log_storage._base_dir)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "HomeStorage":
        """Open what `dagster.yaml` or the defaults name."""
        return cls.from_local(str(config_value["base_dir"]), inst_data=inst_data)
