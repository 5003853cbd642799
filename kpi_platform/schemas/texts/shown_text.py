"""Text from outside as it is shown: what would steer a terminal stands there as backslash, x, 1b.

Belongs here: the one function that every printer and every logger passes text through. Does not:
where it is printed (cli/terminal.py) or logged (orchestration/log_text.py).

Clients choose what stands in versions, ids, names and bodies: ESC and C1 controls move the cursor,
change the window's title and make links, line ends forge lines, bidirectional marks turn a line
round. None of them is printable to Python (Unicode's Other and Separator, the blank apart).
"""

from kpi_platform.schemas.texts.hidden_secrets import hide_secrets

_LATIN_END, _PLANE_END = 0x100, 0x10000


def said(text: str, *, keeps_lines: bool = False) -> str:
    """What we say ourselves, in a line or a log: as `shown`, and without any secret."""
    return shown(hide_secrets(text), keeps_lines=keeps_lines)


def shown(text: str, *, keeps_lines: bool = False) -> str:
    """The text with every character that is not printable escaped, as Python writes it.

    `keeps_lines` leaves line ends and tabs: only for what we laid out ourselves, or a cell.
    """
    if text.isprintable():
        return text
    kept = "\n\t" if keeps_lines else ""
    return "".join(c if c.isprintable() or c in kept else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    code = ord(character)
    if character in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[character]
    if code < _LATIN_END:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < _PLANE_END else f"\\U{code:08x}"
