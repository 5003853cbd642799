"""A limit on how long a database may stay silent, however long the whole read takes.

Belongs here: waiting for one answer with a limit. Does not: what happens on the connection.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pyarrow as pa

from kpi_platform.storage.studio_databases.errors import TransientWarehouseError


@contextmanager
def limited(seconds: float, cancel: Callable[[], object]) -> Iterator[None]:
    """Call `cancel` from another thread if the block takes longer, and raise
    TransientWarehouseError, whether the block then raises or returns as if nothing had happened.
    """
    fired = threading.Event()

    def stop() -> None:
        fired.set()
        cancel()

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if fired.is_set():
            raise TransientWarehouseError(f"the database said nothing for {seconds:g} s")


class Waiting:
    """A reader that waits for each batch only so long, whatever its consumer does in between.

    `translated` makes the driver's errors ours.
    """

    def __init__(
        self,
        reader: pa.RecordBatchReader,
        seconds: float,
        cancel: Callable[[], object],
        translated: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.schema = reader.schema
        self._reader = reader
        self._seconds = seconds
        self._cancel = cancel
        self._translated = translated

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        while True:
            with self._translated(), limited(self._seconds, self._cancel):
                try:
                    batch = self._reader.read_next_batch()
                except StopIteration:
                    return
            yield batch
