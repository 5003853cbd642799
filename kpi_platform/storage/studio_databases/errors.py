"""What can go wrong with a studio's warehouse, parted by whether trying again can help.

Belongs here: the exceptions and how a driver's message becomes one line. Does not: retrying.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from kpi_platform.schemas.texts.hidden_secrets import SafeError, hide_secrets


class StudioWarehouseError(SafeError, OSError):
    """A studio's warehouse cannot be used; the message is one line without secrets."""


class TransientWarehouseError(StudioWarehouseError):
    """It may work later: connection lost or refused, time-out, server starting, out of slots."""


class TerminalWarehouseError(StudioWarehouseError):
    """It cannot work until somebody changes something: permission, missing table, bad setting."""


@contextmanager
def as_studio_error() -> Iterator[None]:
    """Whatever else is raised on the way from a studio, as that studio's trouble alone.

    Databases and drivers raise what nobody foresaw; it must not end the hour of the others.
    """
    try:
        yield
    except StudioWarehouseError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this studio's
        said = f"{type(error).__name__}: {one_line(error)}"
        raise TerminalWarehouseError(said) from None


def one_line(error: BaseException) -> str:
    """The first telling line of a driver's message; secrets are hidden."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return hide_secrets(lines[0] if lines else type(error).__name__)
