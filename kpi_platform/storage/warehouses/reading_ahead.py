"""Reading the next batch while the last one is worked on.

Belongs here: the thread that reads. Does not: what is read, and what becomes of it.
"""

from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def read_ahead(items: Iterable[T]) -> Generator[T]:
    """The items, each read by another thread while its consumer is busy with the one before.

    One item is held besides the consumer's. Errors are raised where the item would have come.
    """
    source = iter(items)
    missing = object()
    with ThreadPoolExecutor(1, "read-ahead") as reader:
        coming = reader.submit(next, source, missing)
        while (item := coming.result()) is not missing:
            coming = reader.submit(next, source, missing)
            yield item  # type: ignore[misc]
