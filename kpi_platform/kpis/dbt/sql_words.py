"""The words of a SQL template: what is left of it without comments and layout.

Belongs here: telling two texts of one meaning for the same. Does not: what follows.
"""

import re
from collections.abc import Iterator

# Quoted texts first, as they may hold what looks like a comment; a comment may hold quotes.
_TOKEN = re.compile(
    r"""
      (?P<text>'(?:[^']|'')*' | "(?:[^"]|"")*")
    | (?P<comment>\{\#.*?\#\} | --[^\n]* | /\*.*?\*/)
    | (?P<blank>\s+)
    | (?P<word>\w+ | .)
    """,
    re.VERBOSE | re.DOTALL,
)
_MEANT = ("text", "word")
_EITHER = re.compile(r"""\\['"]""")


def sql_words(template: str) -> Iterator[str]:
    """The words, signs and quoted texts of a model or macro, in order.

    Comments of SQL and Jinja, blanks and line ends are left out: they change no row. Equal words
    have equal meaning; what is only written differently (`<>` for `!=`) counts as another. A
    backslash before a quote ends the text in SQL and not in Jinja: where one stands, all counts.
    """
    if _EITHER.search(template):
        yield template
        return
    for match in _TOKEN.finditer(template):
        if match.lastgroup in _MEANT:
            yield match.group()
