"""Packs what a release leaves behind: landing, lake, KPI database, Dagster's state of a tiny demo.

    python -m kpi_platform_tests.releases.make_release kpi_platform_tests/releases/NAME.tar.xz

Run it with the release's own code before a stored layout changes; later releases are tried on the
file. It is a demo of few hours and players in two ranges, the second with a file that came late.
"""

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HOURS, PLAYERS = 4, 6
LATE = (
    "Telemetry\t2026-01-01T01:30:00.000+0000\tEmberClient\tLATE-1\t1\t"
    "{ 'Name': 'SoftwareVersion', 'Version': 1.10, 'Device': 'Gameboy', 'PlayerId': 'P9999999' }\n"
)
# What is made anew whenever it is missing, or is the log of how the file was made.
_LEFT_OUT = ("dbt", "demo.log", "compute_logs")


def main() -> None:
    """Make the world, run its hours, pack the folder."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("file", type=Path)
    packed = arguments.parse_args().file.resolve()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        environment = {**os.environ, "KPI_HOME": str(home), "DAGSTER_HOME": str(Path.cwd())}
        _demo(environment)
        late = home / "world" / "landing" / "late" / "2026" / "01" / "01" / "01" / "late.tsv"
        late.parent.mkdir(parents=True)
        late.write_text(LATE)
        _demo(environment)
        with tarfile.open(packed, "w:xz") as archive:
            archive.add(home, "home", filter=_wanted)
    print(f"{packed.name}: {packed.stat().st_size:,} bytes")


def _demo(environment: dict[str, str]) -> None:
    kpi = Path(sys.executable).with_name("kpi")
    sizes = ["--hours", str(HOURS), "--players", str(PLAYERS)]
    subprocess.run([str(kpi), "demo", *sizes], env=environment, check=True)


def _wanted(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if any(part in _LEFT_OUT for part in Path(entry.name).parts):
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    main()
