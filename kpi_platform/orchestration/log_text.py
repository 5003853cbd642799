"""What the process logs, shown: no logger sends a client's control characters to a terminal.

Belongs here: the record that every logger of the process makes. Does not: what is logged.

Dagster composes its lines in several places and formats them in others, so the text is escaped
where every formatter asks for it: at the record.
"""

import logging

from kpi_platform.schemas.texts.shown_text import said


class _ShownRecord(logging.LogRecord):
    """A record whose message and traceback can be sent to a terminal."""

    def getMessage(self) -> str:  # noqa: N802 (logging's own name)
        """The message with its arguments; our own line ends stay."""
        return said(super().getMessage(), keeps_lines=True)

    @property
    def exc_text(self) -> str | None:
        """The traceback once formatted, which repeats the error's message."""
        return self._exc_text

    @exc_text.setter
    def exc_text(self, text: str | None) -> None:
        self._exc_text = said(text, keeps_lines=True) if text else None


def escape_log_records() -> None:
    """From now on every logger of this process makes such records."""
    logging.setLogRecordFactory(_ShownRecord)
