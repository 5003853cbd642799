"""Trying again, with back-off, what can succeed.

Belongs here: how often and how long. Does not: what can succeed, which the errors say.
"""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from kpi_platform.storage.studio_databases.errors import TransientWarehouseError

T = TypeVar("T")
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0


def retried(call: Callable[[], T], attempts: int, sleep: Callable[[float], None] = time.sleep) -> T:
    """Call until it succeeds, at most `attempts` times; only transient errors are tried again."""
    for attempt in range(attempts):
        try:
            return call()
        except TransientWarehouseError:
            if attempt == attempts - 1:
                raise
            sleep(wait_seconds(attempt))
    raise AssertionError("unreachable: the last attempt returns or raises")


def wait_seconds(attempt: int) -> float:
    """Doubling, within limits, and spread so that many readers do not come back at once."""
    longest = min(FIRST_WAIT_SECONDS * (1 << attempt), LONGEST_WAIT_SECONDS)
    return longest * random.uniform(0.5, 1)  # noqa: S311 - nothing secret depends on it
