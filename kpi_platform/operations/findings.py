"""What `kpi doctor` says of a thing: well, worth knowing, or wrong, with the command that mends it.

Belongs here: a finding, and keeping one check's failure its own. Does not: any check.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from kpi_platform.schemas.texts.hidden_secrets import SafeError, hide_secrets

Level = Literal["well", "note", "wrong"]


@dataclass(frozen=True)
class Finding:
    """A line of the doctor: `check` is what was looked at, `mend` the command or setting to use."""

    check: str
    level: Level
    said: str
    mend: str = ""


Check = tuple[str, Callable[[], Sequence[Finding]]]


def looked_at(checks: Sequence[Check]) -> Iterator[Finding]:
    """The findings of each check in turn; one that cannot be made is itself something wrong."""
    for name, look in checks:
        try:
            yield from look()
        except SafeError as error:
            # It names the setting, in words of ours.
            yield Finding(name, "wrong", str(error), "set it, correct it, or make what it names")
        except Exception as error:  # noqa: BLE001 - whatever it is, the other checks go on
            line = (str(error).splitlines() or [""])[0]
            said = hide_secrets(f"cannot be looked at: {type(error).__name__}: {line}")
            yield Finding(name, "wrong", said)
