"""What each earlier release left behind, opened by this one.

Each file of this folder was packed by the release itself (`make_release.py`).
"""

import tarfile
from pathlib import Path

import pytest

from kpi_platform.engine.platform import Platform
from kpi_platform.settings import Settings

RELEASES = sorted(path.name.split(".")[0] for path in Path(__file__).parent.glob("*.tar.xz"))


@pytest.fixture(params=RELEASES)
def platform(request: pytest.FixtureRequest, tmp_path: Path) -> Platform:
    """The release's folders, opened by this release."""
    with tarfile.open(Path(__file__).with_name(f"{request.param}.tar.xz")) as archive:
        archive.extractall(tmp_path, filter="data")
    home = tmp_path / "home"
    return Platform(
        Settings(
            home=home,
            landing_uri=str(home / "world" / "landing"),
            feeds_uri=str(home / "world" / "feeds"),
            lake_uri=str(home / "lake"),
            warehouse_path=home / "warehouse.duckdb",
            sources=home / "world" / "sources.yaml",
        )
    )


@pytest.fixture
def environment(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands and their children find the release's folders."""
    for name in ("home", "landing_uri", "feeds_uri", "lake_uri", "warehouse_path", "sources"):
        monkeypatch.setenv(f"KPI_{name.upper()}", str(getattr(platform.settings, name)))
    monkeypatch.setenv("DAGSTER_HOME", str(Path(__file__).parents[2]))
