"""Draws where the CPU seconds of a next and of an unchanged hour go, as typed.

Belongs here: what the parts are called, and the picture. Does not: the works (`typed_works`), and
taking samples (`sampled`).

    python -m bench.profiles docs/images/profile.svg
"""

import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from bench.measure import ROOT
from bench.sampled import BESIDE
from bench.typed_works import SAMPLES

# A part, what one of a stack's names begins with, and whether that name is a module being loaded;
# the first that fits has it.
PARTS = (
    ("dbt: modules", ("dbt",), True),
    ("dbt: models", ("dbt.task.run:", "dbt.task.compile:"), False),
    ("dbt: tests", ("dbt.task.test:",), False),
    ("dbt: starting and ending", ("dbt.", "kpi_platform.kpis.dbt."), False),
    ("Dagster's events, written", ("kpi_platform.orchestration.event_storage:",), False),
    ("Dagster: modules", ("dagster",), True),
    ("our modules", ("kpi_platform",), True),
    ("load into the KPI database", ("kpi_platform.kpis.",), False),
    ("studios' warehouses", ("kpi_platform.arrivals.studios.", "kpi_platform.storage.st"), False),
    ("lake's steps", ("kpi_platform.engine.",), False),
    ("publish, dashboard, report", ("kpi_platform.published.",), False),
    ("threads of Polars, Delta, DuckDB", (BESIDE,), False),
    ("Dagster: everything else", ("",), False),
)
WORKS = ("unchanged", "next")
_WORDS = {"unchanged": "unchanged hour", "next": "next hour"}
_COLOURS = {"unchanged": "#8a8f98", "next": "#2f6fb0"}
_LEFT, _ROW, _TOP, _WIDTH, _BAR = 230, 34, 46, 760, 12


def part_of(stack: Sequence[str]) -> str:
    """Which part the seconds of a stack count for."""
    modules = [name for name in stack if name.endswith(":<module>")]
    return next(
        part
        for part, starts, is_loaded in PARTS
        if any(name.startswith(starts) for name in (modules if is_loaded else stack))
    )


def read_parts(samples: Path) -> dict[str, float]:
    """CPU seconds by part."""
    found: dict[str, float] = defaultdict(float)
    for line in samples.read_text(encoding="utf-8").splitlines():
        seconds, _, stack = line.partition("\t")
        found[part_of(stack.split(";"))] += float(seconds)
    return found


def picture(found: dict[str, dict[str, float]]) -> str:
    """Bars in SVG: for each part one for each work, with its seconds."""
    parts = [part for part, *_ in PARTS if any(part in seconds for seconds in found.values())]
    most = max(max(seconds.values()) for seconds in found.values())
    height = _TOP + _ROW * len(parts) + 8
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
            f'viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="13">',
            f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
            *_legend(found),
            *_bars(found, parts, (_WIDTH - _LEFT - 70) / most),
            "</svg>\n",
        ]
    )


def _legend(found: dict[str, dict[str, float]]) -> Iterator[str]:
    for number, (work, seconds) in enumerate(found.items()):
        x = _LEFT + 250 * number
        yield f'<rect x="{x}" y="14" width="12" height="12" fill="{_COLOURS[work]}"/>'
        text = f"{_WORDS[work]}: {sum(seconds.values()):.1f} CPU seconds"
        yield f'<text x="{x + 18}" y="25">{text}</text>'


def _bars(found: dict[str, dict[str, float]], parts: Sequence[str], scale: float) -> Iterator[str]:
    for row, part in enumerate(parts):
        top = _TOP + _ROW * row
        name = escape(part)
        yield f'<text x="{_LEFT - 10}" y="{top + 17}" text-anchor="end">{name}</text>'
        for number, (work, seconds) in enumerate(found.items()):
            y, width = top + number * (_BAR + 1), seconds.get(part, 0.0) * scale
            yield (
                f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}" '
                f'fill="{_COLOURS[work]}"/>'
            )
            text = f"{seconds.get(part, 0.0):.1f}"
            yield f'<text x="{_LEFT + width + 5:.1f}" y="{y + 11}" font-size="11">{text}</text>'


def main(written: Path) -> None:
    """Make a small world, work a next hour and the same again, and draw both."""
    with tempfile.TemporaryDirectory(prefix="kpi-bench-profiles-") as folder:
        _work("make", folder, {})
        found = {}
        for work in reversed(WORKS):
            samples = Path(folder) / f"{work}.samples"
            _work(work, folder, {SAMPLES: str(samples)})
            found[work] = read_parts(samples)
        written.write_text(picture({work: found[work] for work in WORKS}), encoding="utf-8")


def _work(name: str, folder: str, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "bench.typed_works", name, folder]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, **environment})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
