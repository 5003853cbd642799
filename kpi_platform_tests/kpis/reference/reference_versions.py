"""The slow, obvious order of versions: parsed sign by sign into what Python compares by itself.

Belongs here: the order of two versions (semantics of the twelve questions). Does not: the key that
the engine makes of it, and which versions are released.
"""

from itertools import groupby
from typing import Any
from unicodedata import category

Parts = tuple[Any, ...]


def order_of(version: str) -> Parts:
    """What decides a version's place: equal for versions that are equal."""
    signs = [" " if sign.isspace() else sign for sign in version.strip()]
    unseen = {"Cc", "Cf", "Zs", "Zl", "Zp"}
    text = "".join(sign for sign in signs if sign == " " or category(sign) not in unseen).strip()
    if text[:1] in ("v", "V") and is_digit(text[1:2]):
        text = text[1:]
    head: list[int] | None = None
    while is_digit(text[:1]) or (head is not None and text[:1] == "." and is_digit(text[1:2])):
        text = text.removeprefix(".")
        digits = ""
        while is_digit(text[:1]):
            digits, text = digits + text[0], text[1:]
        head = [*(head or []), int(digits)]
    has_head = head is not None
    while head and head[-1] == 0:
        head.pop()
    place = min((text.index(sign) for sign in "+ ([{<" if sign in text), default=len(text))
    before, build = runs(text[:place]), runs(text[place:])
    if not (has_head or before or build):
        before = [(1, 0, version.encode())]
    # What comes before the plain version, the plain version, and what comes after it.
    return has_head, head or [], not before, before, bool(build), build


def runs(text: str) -> list[Parts]:
    """Its runs of digits, as numbers, and of letters, in order; a number is less than a word."""
    found: list[Parts] = []
    for kind, signs in groupby(text, kind_of):
        run = "".join(signs)
        if kind == "number":
            found.append((0, int(run), b""))
        elif kind == "word":
            found.append((1, 0, run.encode()))
    return found


def kind_of(sign: str) -> str:
    """Whether a sign is part of a number or of a word, or stands between them."""
    if is_digit(sign):
        return "number"
    return "word" if sign.isalnum() else ""


def is_digit(sign: str) -> bool:
    """Whether it is one of 0 to 9."""
    return sign != "" and sign in "0123456789"
