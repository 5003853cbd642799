"""A built wheel holds everything, and runs from a folder in which nothing can be written."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]
_MADE = {"target", "logs", "dbt_packages", "__pycache__", ".user.yml"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as `pip wheel .` builds it, which needs no network."""
    out = tmp_path_factory.mktemp("wheel")
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(out), versions=["standard"])
    return Path(built)


def _files(folder: str) -> Iterator[Path]:
    for file in (ROOT / folder).rglob("*"):
        path = file.relative_to(ROOT)
        if file.is_file() and not _MADE.intersection(path.parts):
            yield path


def test_everything_that_runs_is_in_it(wheel: Path) -> None:
    there = set(zipfile.ZipFile(wheel).namelist())
    package = {str(path) for path in _files("kpi_platform")}
    models = {
        str(Path("kpi_platform/dbt_project") / path.relative_to("dbt")) for path in _files("dbt")
    }
    assert len(models) > 100
    assert (package | models) - there == set()
    rest = {name for name in there - package - models if ".dist-info/" not in name}
    assert rest == set()


def test_the_sources_stay_where_they_are_when_installed_editable(tmp_path: Path) -> None:
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["editable"])
    with zipfile.ZipFile(built) as files:
        assert files.read("_kpi_platform.pth").decode().strip() == str(ROOT)


@pytest.mark.slow
def test_the_project_in_it_is_parsed_without_a_word_beside_the_code(
    wheel: Path, tmp_path: Path
) -> None:
    code, home = tmp_path / "cöde #1 50% &", tmp_path / "a home?"
    zipfile.ZipFile(wheel).extractall(code)
    before = sorted(code.rglob("*"))
    program = (
        "from kpi_platform.storage.kpi_database.dbt_manifest import PROJECT_DIR, read_manifest;"
        "print(PROJECT_DIR); print(len(read_manifest()['nodes']))"
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=empty,
        env={
            **{name: text for name, text in os.environ.items() if not name.startswith("KPI_")},
            "PYTHONPATH": str(code),
            "PYTHONDONTWRITEBYTECODE": "1",
            "KPI_HOME": str(home),
        },
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    project, nodes = done.stdout.split("\n")[:2]
    assert Path(project) == code / "kpi_platform" / "dbt_project"
    assert int(nodes) > 100
    assert (sorted(code.rglob("*")), sorted(empty.rglob("*"))) == (before, [])
    assert (home / "dbt" / "target" / "manifest.json").exists()
