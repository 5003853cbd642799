"""What a run did at a step: the one source of its numbers, whoever shows them.

Belongs here: adding up what is known of the hours, and measuring time and memory. Does not: telling
anybody: Dagster's metadata, `run_ledger`, the log and the metrics all read the same report.
"""

import resource
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from kpi_platform.engine.books.hour_ledger import FIGURES, HourFigures
from kpi_platform.engine.hour_steps import HourReport

Figure = int | float


@dataclass(frozen=True)
class RunReport:
    """A run's work on an asset, within the step `step`; `asset` is `step` for the step as a whole.

    Counts are sums over the hours that are up to date afterwards: `hours`, of which
    `unchanged_hours` cost a look. `lines`, `files`, `bytes` and what became of lines are what
    arrived in these hours over all sources; `rows` are the asset's own. `seconds` by the clock,
    `cpu_seconds` of this process and those it ended; `peak_memory_mib` of this process so far;
    `arrival_seconds` from a file's arrival to the published figures, where the step published.
    """

    run_id: str
    step: str
    asset: str
    started_at: datetime
    first_hour: datetime | None = None
    last_hour: datetime | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    arrival_seconds: float | None = None
    peak_memory_mib: int = 0
    hours: int = 0
    unchanged_hours: int = 0
    failed_hours: int = 0
    files: int = 0
    bytes: int = 0
    lines: int = 0
    rows: int = 0
    quarantined: int = 0
    duplicates: int = 0
    left_out: int = 0
    suppressed: int = 0
    sealed: int = 0

    def figures(self) -> dict[str, Figure]:
        """Its numbers by name, as `run_ledger`, the log and the metrics call them; one that the
        step has not is left out."""
        figures = {name: getattr(self, name) for name in FIGURE_NAMES}
        return {name: value for name, value in figures.items() if value is not None}


_TEXTS = ("run_id", "step", "asset", "started_at", "first_hour", "last_hour")
FIGURE_NAMES = tuple(f.name for f in fields(RunReport) if f.name not in _TEXTS)


def peak_memory_mib() -> int:
    """Peak resident memory of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (1024 * 1024) if sys.platform == "darwin" else peak // 1024


def hour_values(report: HourReport, figures: HourFigures) -> dict[str, Figure]:
    """What is shown of one hour of a table: where lines went, and what the work took."""
    return {
        "rows": report.rows,
        **{name: getattr(figures, name) for name in FIGURES if name != "rows"},
        "seconds": round(report.seconds, 3),
        "peak_memory_mib": peak_memory_mib(),
        "unchanged": report.status == "unchanged",
        **report.figures,
    }


class Measured:
    """Time and work since a step of a run began, and the hours that it has gone through."""

    def __init__(self, run_id: str, step: str) -> None:
        self._run_id, self._step = run_id, step
        self._started_at, self._clock, self._cpu = datetime.now(UTC), time.monotonic(), _cpu()
        self._hours: list[datetime] = []
        self._unchanged = 0
        self._sums: dict[str, int] = dict.fromkeys(FIGURES, 0)

    def add(self, reports: Iterable[HourReport], figures: Mapping[datetime, HourFigures]) -> None:
        """Count hours that are up to date, with what the books say of them."""
        for report in reports:
            values = hour_values(report, figures[report.hour])
            for name in FIGURES:
                self._sums[name] += int(values[name])
            self._hours.append(report.hour)
            self._unchanged += int(values["unchanged"])

    def report(
        self,
        *,
        failed_hours: int = 0,
        rows: int | None = None,
        arrival_seconds: float | None = None,
    ) -> RunReport:
        """The step as a whole, until now; `rows` where no hours were counted."""
        counted: dict[str, Any] = self._sums if rows is None else self._sums | {"rows": rows}
        return RunReport(
            **self._about(self._step),
            **counted,
            first_hour=min(self._hours, default=None),
            last_hour=max(self._hours, default=None),
            seconds=round(time.monotonic() - self._clock, 3),
            cpu_seconds=round(_cpu() - self._cpu, 3),
            arrival_seconds=arrival_seconds,
            hours=len(self._hours),
            unchanged_hours=self._unchanged,
            failed_hours=failed_hours,
        )

    def report_of(self, asset: str, rows: int, seconds: float) -> RunReport:
        """An asset that the step made beside others."""
        return RunReport(**self._about(asset), rows=rows, seconds=seconds)

    def _about(self, asset: str) -> dict[str, Any]:
        return {
            "run_id": self._run_id,
            "step": self._step,
            "asset": asset,
            "started_at": self._started_at,
            "peak_memory_mib": peak_memory_mib(),
        }


def _cpu() -> float:
    """Processor seconds of this process and of those that it ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)
