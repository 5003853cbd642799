"""Trying again, with back-off, what can succeed.

Belongs here: how often and how long. Does not: what can succeed, which the errors say.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from kpi_platform.storage.studio_databases.errors import TransientWarehouseError

T = TypeVar("T")
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0


def retried(call: Callable[[], T], attempts: int, sleep: Callable[[float], None] = time.sleep) -> T:
    """Call until it succeeds, at most `attempts` times; only transient errors are tried again.

    Waits are doubled within limits, and spread so that many readers do not come back at once.
    """
    half = FIRST_WAIT_SECONDS / 2
    retrying = Retrying(
        retry=retry_if_exception_type(TransientWarehouseError),
        stop=stop_after_attempt(attempts),
        wait=wait_exponential_jitter(half, LONGEST_WAIT_SECONDS, jitter=half),
        sleep=sleep,
        reraise=True,
    )
    return retrying(call)
