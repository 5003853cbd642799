"""A line of the log as one JSON object with the names of the Elastic Common Schema (ECS 8).

Belongs here: which fields a line has, pure. Does not: where lines come from
(`orchestration/log_json.py`, `cli/terminal.py`).

Fields: `@timestamp` (UTC), `log.level`, `message`, `ecs.version`, `service.name`, `process.pid`,
and where there is one `log.logger`, `error.type`, `error.message`, `error.stack_trace`,
`trace.id` (the run's id without its dashes), `dagster.run.id`, `dagster.job.name`,
`dagster.step.key`, `kpi.asset`, `kpi.hours`. DataDog, Elastic and CloudWatch Logs read them as
they are.
"""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime

from kpi_platform.schemas.texts.hidden_secrets import hide_secrets

SERVICE = "kpi-platform"
_ECS = "8.11.0"


def log_line(
    at: datetime, level: str, message: str, fields: Mapping[str, object] | None = None
) -> str:
    """One line of ASCII: no text in it ends the line, steers a terminal or shows a secret.

    `fields`: further ones by name; blank ones are left out.
    """
    values: dict[str, object] = {
        "@timestamp": at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "log.level": level.lower(),
        "message": message,
        "ecs.version": _ECS,
        "service.name": SERVICE,
        "process.pid": os.getpid(),
        **(fields or {}),
    }
    shown = {name: _safe(value) for name, value in values.items() if value not in ("", None)}
    return json.dumps(shown, ensure_ascii=True, default=lambda value: hide_secrets(str(value)))


def trace_id(run_id: str) -> str:
    """A run's id as OpenTelemetry and ECS write the id of a trace: 32 hexadecimal digits."""
    return run_id.replace("-", "")


def _safe(value: object) -> object:
    return hide_secrets(value) if isinstance(value, str) else value
