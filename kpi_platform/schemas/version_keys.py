"""The order of versions as one text that sorts: `version_sort_key` (semantics, section 8).

Belongs here: what a version is, and the key by which versions are compared, whatever computes or
stores it. Does not: which versions are released, newest or previous, which is the models'.

The key is made of digits alone, so that every engine and every collation sorts it alike; why, and
what it says, stands in docs/decisions/0092-one-key-for-the-order-of-versions.md.
"""

import re

import polars as pl

from kpi_platform.schemas.attributes import attribute
from kpi_platform.schemas.texts.nobody import INVISIBLE, somebody

_UNSEEN = {ord(sign): " " if sign.isspace() else None for sign in INVISIBLE}
_HEAD = re.compile(r"(?:[vV](?=[0-9]))?(?P<head>[0-9]+(?:\.[0-9]+)*)?(?P<rest>.*)", re.DOTALL)
# What follows these is a build, which comes after the plain version; all else comes before it.
_BUILD = re.compile(r"[+ (\[{<]")
_RUN = re.compile(r"(?P<number>[0-9]+)|(?P<word>[^\W0-9_]+)")
_NO_HEAD, _HEAD_FOLLOWS, _END = "0", "1", "0"
_NUMBER, _WORD = "1", "2"


def sighted_version(name: str = "Version") -> pl.Expr:
    """The version that the attribute `name` of an event (columns of `cleaned_events`) tells; null
    where it tells none: missing, nothing visible, or a word for nobody."""
    return attribute(name).map_batches(_told, return_dtype=pl.String, is_elementwise=True)


def _told(texts: pl.Series) -> pl.Series:
    # Versions are few, and what nobody sees is thousands of characters that each is searched for.
    known = texts.drop_nulls().unique()
    told = known.to_frame("told").select(somebody(pl.col("told"))).to_series()
    return texts.replace_strict(known, told, return_dtype=pl.String)


def version_sort_key(version: str) -> str:
    """Return a text of digits that sorts as versions do: equal for versions that are equal, less
    for an earlier one.

    A leading `v` and invisible characters are ignored. First comes the numeric head without zeros
    at its end (none: before every number); then what follows it, a pre-release before nothing;
    then a build, after nothing; both in runs of digits and letters, a number before a word.
    """
    match = _HEAD.fullmatch(version.strip(INVISIBLE).translate(_UNSEEN))
    if match is None:
        raise AssertionError(version)
    pre_release, build = _parts(match["rest"])
    if match["head"] is None and not pre_release and not build:
        # Neither digit nor letter: only the text itself tells it from others.
        return _NO_HEAD + "0" + _WORD + _word(version) + _END + "0"
    return (
        _head(match["head"])
        + ("0" + pre_release + _END if pre_release else "1")
        + ("1" + build + _END if build else "0")
    )


def version_sort_keys(versions: pl.Series) -> pl.Series:
    """The key of each version (null for null), called `version_sort_key`."""
    known = versions.drop_nulls().unique()
    keys = pl.Series([version_sort_key(version) for version in known], dtype=pl.String)
    return versions.replace_strict(known, keys, return_dtype=pl.String).alias("version_sort_key")


def _parts(rest: str) -> tuple[str, str]:
    """The pre-release and the build in what follows the head, each as its runs."""
    begins = _BUILD.search(rest)
    end = begins.start() if begins else len(rest)
    return _runs(rest[:end]), _runs(rest[end:])


def _runs(text: str) -> str:
    return "".join(
        _NUMBER + _number(run["number"]) if run["number"] else _WORD + _word(run["word"])
        for run in _RUN.finditer(text)
    )


def _head(head: str | None) -> str:
    if head is None:
        return _NO_HEAD
    numbers = [_number(number) for number in head.split(".")]
    while numbers and numbers[-1] == _number("0"):
        numbers.pop()
    return _HEAD_FOLLOWS + "".join(_NUMBER + number for number in numbers) + _END


def _number(digits: str) -> str:
    """A number of any length: how many digits tell its length, its length, its digits."""
    digits = digits.lstrip("0")
    length = str(len(digits))
    return f"{len(length)}{length}{digits}"


def _word(word: str) -> str:
    """Letters in the order of their code points; a word comes before longer ones that begin so."""
    return "".join(f"{byte:03}" for byte in word.encode()) + "000"
