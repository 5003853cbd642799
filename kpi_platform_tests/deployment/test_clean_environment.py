"""A new virtual environment from the lock loads the platform: the image's steps without Docker."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kpi_platform_tests.deployment.compose import PROJECT_ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    # Made once: with several test processes, all of this file belongs into one of them.
    pytest.mark.xdist_group("clean_environment"),
]
UV = Path(sys.executable).parent / "uv"


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a copy of the project, installed in its `.venv` step by step as the image."""
    if not UV.exists():
        pytest.skip("uv is not installed beside Python")
    project = tmp_path_factory.mktemp("image") / "kpi_platform"
    project.mkdir()
    for name in ("requirements.lock", "pyproject.toml", "README.md", "kpi_platform", "dbt"):
        _copy(PROJECT_ROOT / name, project / name)
    _uv(project, "venv", "--python", sys.executable, ".venv")
    _uv(project, "pip", "install", "--require-hashes", "--requirement", "requirements.lock")
    _uv(project, "pip", "install", "--no-deps", "--editable", ".")
    yield project
    shutil.rmtree(project)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        ignored = shutil.ignore_patterns("__pycache__", "target", "logs")
        shutil.copytree(source, target, ignore=ignored)
    else:
        shutil.copy(source, target)


def _uv(project: Path, *arguments: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    # As the Makefile does: trust what the system trusts.
    environment.setdefault("UV_SYSTEM_CERTS", "true")
    subprocess.run([str(UV), "--quiet", *arguments], cwd=project, env=environment, check=True)


def _run(project: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the new environment with nothing else in the environment."""
    programs = project / ".venv" / "bin"
    return subprocess.run(
        [str(programs / command[0]), *command[1:]],
        cwd=project.parent,
        env={"PATH": f"{programs}{os.pathsep}{os.defpath}", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_definitions_load_in_a_clean_environment(installed: Path) -> None:
    done = _run(installed, "dagster", "definitions", "validate", "-m", "kpi_platform.definitions")
    assert done.returncode == 0, done.stderr
    assert "Validation successful" in done.stderr + done.stdout


@pytest.mark.parametrize(
    "command",
    [
        ("dagster", "api", "grpc", "--help"),
        ("dagster-webserver", "--help"),
        ("dagster-daemon", "run", "--help"),
        ("kpi", "--help"),
    ],
    ids=" ".join,
)
def test_the_images_programs_are_installed(installed: Path, command: tuple[str, ...]) -> None:
    done = _run(installed, *command)
    assert done.returncode == 0, done.stderr


def test_the_production_settings_find_their_classes(installed: Path) -> None:
    code = (
        "import dagster_postgres, psycopg2, dagster_aws.s3.compute_log_manager; "
        "from kpi_platform.orchestration.dagster_state import HomeInstance"
    )
    done = _run(installed, "python", "-c", code)
    assert done.returncode == 0, done.stderr
