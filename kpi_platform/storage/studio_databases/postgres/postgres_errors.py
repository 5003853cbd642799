"""Which of PostgreSQL's errors can pass by themselves.

Belongs here: SQLSTATEs and the messages that come without one. Does not: trying again.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
from adbc_driver_manager import Error as AdbcError

from kpi_platform.storage.studio_databases.errors import (
    StudioWarehouseError,
    TerminalWarehouseError,
    TransientWarehouseError,
    one_line,
)

# Connection lost, resources short, server stopping or starting, cancelled, deadlock, locked.
_PASSING = ("08", "53", "57P", "57014", "40", "55P03", "58")
# A refused connection has no SQLSTATE; these cannot be helped by waiting.
_LASTING = (
    "password authentication failed",
    "does not exist",
    "no pg_hba.conf entry",
    "is not permitted to log in",
    "permission denied",
    "does not support SSL",
    "connection info string",
    "invalid connection option",
    "invalid sslmode",
    "certificate",
    "no password supplied",
)


@contextmanager
def translated() -> Iterator[None]:
    """The driver's errors as ours, in one line without secrets."""
    try:
        yield
    except StudioWarehouseError:
        raise
    except AdbcError as error:
        raise _as_ours(error, error.sqlstate) from None
    except (OSError, pa.ArrowException) as error:
        # In the middle of a read the driver has no other word for anything.
        raise _as_ours(error, None) from None


def _as_ours(error: BaseException, sqlstate: str | None) -> StudioWarehouseError:
    said = _said(error)
    if sqlstate:
        passes = sqlstate.startswith(_PASSING)
    else:
        passes = isinstance(error, OSError | AdbcError) and not any(t in said for t in _LASTING)
    return (TransientWarehouseError if passes else TerminalWarehouseError)(said)


def _said(error: BaseException) -> str:
    text = one_line(error)
    for marker in ("ERROR:  ", "FATAL:  ", "] "):
        if marker in text:
            return text.split(marker, 1)[1]
    return text
