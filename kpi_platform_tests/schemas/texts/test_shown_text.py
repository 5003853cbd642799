"""Nothing that steers a terminal is left of any text, and what can be read stays as it is."""

import logging
import unicodedata
from io import StringIO

from hypothesis import example, given
from hypothesis import strategies as st

from kpi_platform.orchestration.log_text import escape_log_records
from kpi_platform.schemas.texts.shown_text import shown

HOSTILE = (
    "1\x1b]0;PWNED\x07\x1b[2J",
    "\x9b31mred",
    "\x1b]8;;https://evil\x1b\\link\x1b]8;;\x1b\\",
    "---\nstudios: []\r\nforged",
    "ab\u202edc\u2066x\u2069\u200f",
    "\u2028line\u0085line",
    "nul\x00 and \U000e0041 tags",
    "[bold red]markup[/] :smile:",
)
_STEERS = {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(st.text())
@example(HOSTILE[0])
@example("\ud800")
def test_no_control_is_left(text: str) -> None:
    found = shown(text)
    assert not [c for c in found if unicodedata.category(c) in _STEERS]
    # What is printable is there, in its order.
    kept = iter(found)
    assert all(c in kept for c in text if c.isprintable())
    assert shown(found) == found


@given(st.text())
def test_our_own_lines_stay(text: str) -> None:
    parts = text.split("\n")
    assert shown(text, keeps_lines=True).split("\n") == [shown(p, keeps_lines=True) for p in parts]


def test_escapes_read_as_python_writes_them() -> None:
    assert shown("\x1b[2J\x9b\u202e\U000e0041\n") == r"\x1b[2J\x9b\u202e\U000e0041\n"
    assert shown("Zoë ‘日本’ עברית 😀") == "Zoë ‘日本’ עברית 😀"


def test_every_logger_shows_what_it_logs() -> None:
    before = logging.getLogRecordFactory()
    out = StringIO()
    handler = logging.StreamHandler(out)
    logger = logging.getLogger("a library's")
    logger.addHandler(handler)
    try:
        escape_log_records()
        for text in HOSTILE:
            logger.error("client says %s", text)
            try:
                raise ValueError(text)
            except ValueError:
                logger.exception(text)
    finally:
        logger.removeHandler(handler)
        logging.setLogRecordFactory(before)
    lines = out.getvalue()
    assert not [c for c in lines if unicodedata.category(c) in _STEERS and c != "\n"]
    assert lines.count("PWNED") == 3
