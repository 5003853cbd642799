"""Runs works in processes of their own, in turns, and shows them beside their peers.

Belongs here: time, CPU and peak memory of a command. Does not: what the commands do.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
# What a work says last, with its seconds, if the start of Python is not to count.
WORKED = "worked "
MAX_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


class WorkError(RuntimeError):
    """A measured command did not succeed; the message ends with what it said last."""


@dataclass(frozen=True)
class Work:
    """A command to measure, and what has to be put right before each of its runs."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[], object] = lambda: None


@dataclass(frozen=True)
class Sample:
    """One run of a work: seconds by the clock (without the start of Python, where the work says
    so), seconds of CPU, peak resident MiB."""

    seconds: float
    cpu_seconds: float
    peak_mib: float


@dataclass(frozen=True)
class Comparison:
    """Our work beside its peer; `bar` is the most that our time may be, in the peer's times, or
    in seconds where there is no peer; `bar_mib` the most memory."""

    title: str
    ours: Work
    peer: Work | None
    bar: float
    bar_mib: int | None = None


def run_group(comparisons: Sequence[Comparison], runs: int) -> list[tuple[Comparison, float]]:
    """Measure each work of the comparisons `runs` times, in turns (A B A B), and print a table.

    A peer of several works is run once a turn. Returns the ratios (or seconds) of the medians.
    """
    works = {w.name: w for c in comparisons for w in (c.peer, c.ours) if w is not None}
    samples: dict[str, list[Sample]] = {name: [] for name in works}
    for turn in range(runs):
        for name, work in works.items():
            sample = measure(work)
            samples[name].append(sample)
            _say(f"  {turn + 1} of {runs}: {name} {sample.seconds:.3g} s")
    return _show(comparisons, {name: _medians(found) for name, found in samples.items()})


def measure(work: Work) -> Sample:
    """Run a work to its end. Raises WorkError."""
    work.before()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        started = time.monotonic()
        process = subprocess.Popen(
            work.command,
            cwd=ROOT,
            env={**os.environ, **work.environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            # Together with what it starts it can be ended.
            start_new_session=True,
        )
        try:
            # Of this process and those it waited for: nothing else tells them apart from ours.
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        seconds = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.readlines()
        if process.returncode:
            raise WorkError(f"{work.name}:\n{''.join(said[-30:])}")
        if said and said[-1].startswith(WORKED):
            seconds = float(said[-1].removeprefix(WORKED))
    cpu = usage.ru_utime + usage.ru_stime
    return Sample(seconds, cpu, usage.ru_maxrss * MAX_RSS_UNIT / (1 << 20))


def _medians(samples: Sequence[Sample]) -> Sample:
    return Sample(
        median(s.seconds for s in samples),
        median(s.cpu_seconds for s in samples),
        max(s.peak_mib for s in samples),
    )


def _show(
    comparisons: Sequence[Comparison], medians: Mapping[str, Sample]
) -> list[tuple[Comparison, float]]:
    columns = ("work", "ours s", "peer s", "ratio", "bar", "CPU ratio", "ours MiB", "peer MiB")
    table = Table(*columns, "", caption=f"medians; load {os.getloadavg()[0]:.1f}")
    found = []
    for c in comparisons:
        ours, peer = medians[c.ours.name], None if c.peer is None else medians[c.peer.name]
        value = ours.seconds / peer.seconds if peer else ours.seconds
        is_kept = value <= c.bar and (c.bar_mib is None or ours.peak_mib <= c.bar_mib)
        table.add_row(
            c.title,
            f"{ours.seconds:.3g}",
            f"{peer.seconds:.3g}" if peer else "-",
            f"{value:.2f}" if peer else "-",
            (f"{c.bar:.3g} x" if peer else f"{c.bar:g} s")
            + (f", {c.bar_mib} MiB" if c.bar_mib else ""),
            f"{ours.cpu_seconds / peer.cpu_seconds:.2f}" if peer else "-",
            f"{ours.peak_mib:.0f}",
            f"{peer.peak_mib:.0f}" if peer else "-",
            "kept" if is_kept else "MISSED",
        )
        found.append((c, value))
    Console(width=None if sys.stdout.isatty() else 130).print(table)
    return found


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
