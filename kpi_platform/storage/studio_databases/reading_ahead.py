"""Reading the next batches while the last one is worked on.

Belongs here: the thread that reads. Does not: what is read, and what becomes of it.
"""

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
# One would leave the reader waiting whenever its consumer takes longer than usual.
_ITEMS_AHEAD = 2


def read_ahead(items: Iterable[T]) -> Generator[T]:
    """The items, read by another thread while their consumer is busy with those before.

    Two items are held besides the consumer's. Errors are raised where the item would have come.
    """
    source = iter(items)
    missing = object()
    reader = ThreadPoolExecutor(1, "read-ahead")
    try:
        coming = deque(reader.submit(next, source, missing) for _ in range(_ITEMS_AHEAD))
        while (item := coming.popleft().result()) is not missing:
            coming.append(reader.submit(next, source, missing))
            yield item  # type: ignore[misc]
    finally:
        # A consumer that stops does not wait for what it will not take.
        reader.shutdown(cancel_futures=True)
        if isinstance(source, Generator):
            source.close()
