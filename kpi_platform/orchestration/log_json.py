"""What the process logs as one JSON object a line, with ECS names (`KPI_LOG_FORMAT=json`).

Belongs here: what of a record and of Dagster's own notes on it goes into which field. Does not:
the names (`schemas/texts/log_lines.py`).

Dagster makes its handlers and formatters in several places and at several times (a run's console,
the daemon, code servers, the webserver), each of which may come after ours. All of them write
through a stream handler, so that is where the text is made.
"""

import logging
import sys
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from kpi_platform.orchestration.dagster_internals import (
    LOG_METADATA,
    PARTITION,
    RANGE_END,
    RANGE_START,
)
from kpi_platform.orchestration.log_text import escape_log_records
from kpi_platform.schemas.hours.hour_ranges import named_range
from kpi_platform.schemas.texts.log_lines import log_line, trace_id
from kpi_platform.settings import log_format


def set_up_logs() -> None:
    """Make every logger of this process write as KPI_LOG_FORMAT says; safe to be repeated."""
    escape_log_records()
    if log_format() != "json":
        return
    # Read and replaced by name: a method of the standard library's class.
    setattr(logging.StreamHandler, "format", _format)  # noqa: B010
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught


def json_of(record: logging.LogRecord) -> str:
    """A record as a line: its message, its error, and what Dagster says of it."""
    at = datetime.fromtimestamp(record.created, UTC)
    fields: dict[str, object] = {"log.logger": record.name, **_run_fields(record)}
    message = fields.pop("message", None) or _message(record)
    return log_line(at, record.levelname, str(message), fields | _error_fields(record))


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - a line whose arguments do not fit is said all the same
        return f"{record.msg} {record.args}"


def _run_fields(record: logging.LogRecord) -> dict[str, object]:
    meta: dict[str, Any] | None = getattr(record, LOG_METADATA, None)
    if not meta or not meta.get("run_id"):
        return {}
    event, tags = meta.get("dagster_event"), meta.get("job_tags") or {}
    asset = getattr(event, "asset_key", None)
    first = tags.get(RANGE_START) or tags.get(PARTITION) or ""
    last = tags.get(RANGE_END) or first
    return {
        # Without the run and step that Dagster puts before it: they are fields of their own.
        "message": meta.get("orig_message"),
        "trace.id": trace_id(str(meta["run_id"])),
        "dagster.run.id": meta["run_id"],
        "dagster.job.name": meta.get("job_name"),
        "dagster.step.key": meta.get("step_key"),
        "kpi.asset": asset.to_user_string() if asset else meta.get("step_key"),
        "kpi.hours": getattr(event, "partition", None) or named_range(first, last),
    } | _event_error(event)


def _event_error(event: Any) -> dict[str, object]:  # noqa: ANN401 (any of Dagster's events)
    """The error of a step that failed, which Dagster keeps with the event and not the record."""
    error = getattr(getattr(event, "event_specific_data", None), "error", None)
    if error is None:
        return {}
    cause = error
    while cause.cause is not None:
        # What was raised in the step; Dagster's own error is wrapped around it.
        cause = cause.cause
    return {
        "error.type": cause.cls_name,
        "error.message": cause.message.strip(),
        "error.stack_trace": error.to_string(),
    }


def _error_fields(record: logging.LogRecord) -> dict[str, object]:
    if not record.exc_info or record.exc_info[0] is None:
        return {}
    kind, error, stack = record.exc_info
    return _error_of(kind, error, stack)


def _error_of(
    kind: type[BaseException], error: BaseException | None, stack: TracebackType | None
) -> dict[str, object]:
    return {
        "error.type": kind.__name__,
        "error.message": str(error),
        "error.stack_trace": "".join(traceback.format_exception(kind, error, stack)),
    }


def _format(handler: logging.Handler, record: logging.LogRecord) -> str:
    """What a stream handler writes; files keep their own format."""
    if isinstance(handler, logging.FileHandler):
        return logging.Handler.format(handler, record)
    return json_of(record)


def _log_uncaught(
    kind: type[BaseException], error: BaseException, stack: TracebackType | None
) -> None:
    line = log_line(datetime.now(UTC), "error", str(error), _error_of(kind, error, stack))
    sys.stderr.write(f"{line}\n")
