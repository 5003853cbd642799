"""Why a message was not taken.

Belongs here: the one error of senders. Does not: what is done about it (`outbox.py`).
"""

from kpi_platform.schemas.texts.hidden_secrets import SafeError


class DeliveryError(SafeError, OSError):
    """A service did not take a message. `wait_seconds`: what it asked us to wait; `is_lasting`:
    trying the same again within seconds is no use."""

    def __init__(self, said: str, wait_seconds: float = 0.0, *, is_lasting: bool = False) -> None:
        super().__init__(" ".join(said.split())[:500])
        self.wait_seconds = wait_seconds
        self.is_lasting = is_lasting
