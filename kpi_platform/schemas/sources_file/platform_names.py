"""The platforms that KPI tables have rows of, and which of them a client's word means.

Belongs here: the list, its aliases and their spelling. Does not: where names come from, or what is
counted by them. Clients choose what they send: whatever is no platform of the list is `other`.
"""

from collections.abc import Iterable, Mapping
from typing import Self

import polars as pl

OTHER = "other"
UNKNOWN = "unknown"
TOTAL = "all"
# Canonical names with what clients also call them; case, blanks, `-`, `_` and `.` do not matter.
DEFAULT: Mapping[str, tuple[str, ...]] = {
    "pc": ("windows", "win", "win32", "win64", "desktop", "steam", "steam deck", "epic"),
    "mac": ("macos", "osx", "mac os x", "darwin"),
    "linux": ("linux64", "steamos"),
    "ios": ("iphone", "ipad", "ipados", "iphone os", "apple", "app store"),
    "android": ("google play", "play store", "amazon appstore", "fire os"),
    "mobile": ("phone", "tablet", "handheld"),
    "playstation": ("ps", "ps3", "ps4", "ps4 pro", "ps5", "ps5 pro", "psn", "psvita", "vita"),
    "xbox": ("xbox one", "xbox series", "xbox series x", "xbox series s", "xbox series x|s", "xbl"),
    "switch": ("nintendo", "nintendo switch", "nintendo switch 2", "switch 2", "nx"),
    "web": ("browser", "html5", "webgl", "facebook"),
    "console": (),
    "tv": ("apple tv", "tvos", "android tv", "fire tv"),
    "vr": ("quest", "oculus", "meta quest", "steamvr", "psvr", "psvr2"),
    "cloud": ("geforce now", "stadia", "luna", "xcloud"),
    "server": ("dedicated server",),
}
_APART = r"[\s\-_.]+"


class PlatformNames:
    """The known platforms: those of `DEFAULT`, and on top of them `listed` with their aliases.

    A name that is listed counts before the default's; `literals`, names that mappings state
    themselves, are known as they are written unless a list says otherwise.
    """

    def __init__(
        self, listed: Mapping[str, Iterable[str]] | None = None, literals: Iterable[str] = ()
    ) -> None:
        self.by_spelling: dict[str, str] = {UNKNOWN: UNKNOWN}
        for known in (DEFAULT, dict.fromkeys(sorted(literals), ()), listed or {}):
            is_last = known is listed
            for name, aliases in known.items():
                for alias in (name, *aliases):
                    if is_last or plain(alias) not in self.by_spelling:
                        self.by_spelling[plain(alias)] = name

    @classmethod
    def as_sent(cls) -> Self:
        """No list: every platform is called as it was sent, for small worlds of tests."""
        names = cls()
        names.by_spelling = {}
        return names

    def shown(self, column: pl.Expr) -> pl.Expr:
        """What KPI tables call the platforms of a text column; null stays null."""
        if not self.by_spelling:
            return column
        known = spelled(column).replace_strict(
            self.by_spelling, default=OTHER, return_dtype=pl.String
        )
        return pl.when(column.is_not_null()).then(known)

    def unlisted(self, column: pl.Expr) -> pl.Expr:
        """Whether a platform is none of the list."""
        return self.shown(column) == OTHER

    @property
    def mark(self) -> str:
        """A text that differs if any name is shown otherwise."""
        return str(sorted(self.by_spelling.items())) if self.by_spelling else ""


def plain(name: str) -> str:
    """The spelling by which a name is looked up."""
    found: str = pl.select(spelled(pl.lit(name))).item()
    return found


def spelled(column: pl.Expr) -> pl.Expr:
    """The spelling by which the names of a column are looked up."""
    return column.str.to_lowercase().str.replace_all(_APART, "")
