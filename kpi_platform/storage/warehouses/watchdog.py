"""A limit on how long a database may stay silent, however long the whole read takes.

Belongs here: waiting for one answer with a limit. Does not: what happens on the connection.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pyarrow as pa
from adbc_driver_manager import Error as AdbcError

from kpi_platform.storage.warehouses.errors import TransientWarehouseError


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
    silent = TransientWarehouseError(f"the database said nothing for {seconds:g} s")
    try:
        yield
    except (AdbcError, OSError, pa.ArrowException) as error:
        if fired.is_set():
            raise silent from error
        raise
    finally:
        timer.cancel()
    if fired.is_set():
        raise silent
