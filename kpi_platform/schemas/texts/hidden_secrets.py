"""The one place through which whatever is said passes: it knows the secrets and takes them out.

Belongs here: which pieces of a secret must not be seen, and taking them out of a text; errors whose
text is safe. Does not: where secrets come from (`settings.py`), and how addresses are read
(`addresses.py`).

A library that misreads an address repeats parts of the password it holds, so a secret is hidden
whole, in every way of writing it, and in its pieces.
"""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import quote, quote_plus, unquote

from kpi_platform.schemas.sources_file.addresses import AddressError, parse_server

_HIDDEN = "***"
# Shorter pieces are parts of ordinary words: hiding them would leave nothing to read.
_LEAST_LETTERS = 4
# What stands in every address, and is told by none.
_PLAIN_WORDS = frozenset({
    "postgresql", "postgres", "redshift", "http", "https", "file", "localhost", "host", "port",
    "user", "username", "password", "dbname", "database", "sslmode", "require", "disable", "prefer",
})  # fmt: skip
# The net below the net: what looks like a secret though nobody told us; not our own examples.
_LOOKS_SECRET = re.compile(
    r"(?i)(?P<option>\b(?:ssl)?(?:password|pwd|secret|token)\s*=\s*)(?:'[^']*'|[^\s'&;,]+)"
    r"|(?P<scheme>\b[a-z][a-z0-9+.\-]*:/{1,2}[^:/@\s]*:)(?!password@)\S*@"
)
_secrets: dict[str, frozenset[str]] = {}


class SafeError(Exception):
    """An error whose message has passed `hide_secrets`; the errors that users see are such."""

    def __init__(self, said: str) -> None:
        super().__init__(hide_secrets(said))


def remember_secret(name: str, value: str) -> None:
    """Hide `value` from now on; `name`, where it comes from, lets a new value replace the old.

    Of an address that can be read, only the password is secret; anything else is so as a whole.
    """
    pieces = frozenset(piece for secret in _secrets_of(value) for piece in _pieces(secret))
    if _secrets.get(name) != pieces:
        _secrets[name] = pieces
        _pattern.cache_clear()


def _secrets_of(value: str) -> tuple[str, ...]:
    try:
        address = parse_server(value, schemes=None)
    except AddressError:
        return (value,)
    # What only looks like an address, such as a password with a colon, is secret as a whole.
    return address.secrets if address.secrets or address.is_database else (value,)


def hide_secrets(text: str) -> str:
    """The text without any secret that is known, or a piece of one; `***` stands for it."""
    pattern = _pattern()
    if pattern is not None:
        text = pattern.sub(_HIDDEN, text)
    return _LOOKS_SECRET.sub(_blotted, text)


def _blotted(found: re.Match[str]) -> str:
    return f"{found['option']}{_HIDDEN}" if found["option"] else f"{found['scheme']}{_HIDDEN}@"


def _pieces(secret: str) -> Iterator[str]:
    """The secret as it is, as addresses and quoted texts write it, and its words."""
    for text in (secret, unquote(secret)):
        whole = (text, quote(text, safe=""), quote_plus(text), repr(text)[1:-1])
        yield from (way for way in (*whole, json.dumps(text)[1:-1]) if len(way) >= _LEAST_LETTERS)
        for word in re.split(r"[\W_]+", text):
            is_plain = word.lower() in _PLAIN_WORDS or (word.isdigit() and len(word) < 6)
            if len(word) >= _LEAST_LETTERS and not is_plain:
                yield word


@lru_cache(maxsize=1)
def _pattern() -> re.Pattern[str] | None:
    """All pieces, the longest first, in any case: hosts are often written small."""
    pieces = sorted(frozenset().union(*_secrets.values()), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, pieces)), re.IGNORECASE) if pieces else None
