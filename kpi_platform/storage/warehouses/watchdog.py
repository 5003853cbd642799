"""A limit on how long a database may stay silent, however long the whole read takes.

Belongs here: waiting for one answer with a limit. Does not: what happens on the connection.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kpi_platform.storage.warehouses.errors import TransientWarehouseError


@contextmanager
def limited(seconds: float, cancel: Callable[[], object]) -> Iterator[None]:
    """Call `cancel` from another thread if the block takes longer.

    What the block raises then is replaced by TransientWarehouseError.
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
    except Exception as error:
        if fired.is_set():
            said = f"the database said nothing for {seconds:g} s"
            raise TransientWarehouseError(said) from error
        raise
    finally:
        timer.cancel()
