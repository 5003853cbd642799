"""The project that built the marts is kept as it was, or not at all."""

import json
from pathlib import Path

import pytest

from kpi_platform.storage.kpi_database import kept_project as kept
from kpi_platform.storage.kpi_database.dbt_manifest import MANIFEST, PARSED, STAMP


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one file, as this process reads it; its stamp is its text."""
    model = tmp_path / "project" / "models" / "a.sql"
    model.parent.mkdir(parents=True)
    model.write_text("select 1")
    target = tmp_path / "target"
    target.mkdir()
    (target / MANIFEST).write_text(json.dumps({"sql": "select 1"}))
    for name in (PARSED, STAMP):
        (target / name).write_text("select 1")
    monkeypatch.setenv("KPI_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(kept, "PROJECT_DIR", model.parent.parent)
    monkeypatch.setattr(kept, "ensure_manifest", lambda: target / MANIFEST)
    monkeypatch.setattr(kept, "project_stamp", lambda: b"select 1")
    monkeypatch.setattr(kept, "current_stamp", lambda: model.read_bytes())
    return model


def test_what_built_the_marts_is_kept(project: Path) -> None:
    kept.keep_project("built")
    found = kept.kept_project()
    assert found is not None
    assert found.fingerprint == "built"
    assert found.is_current
    assert (found.project / "models" / "a.sql").read_text() == "select 1"


def test_a_project_put_there_during_the_build_is_not_kept_as_the_one_that_built(
    project: Path,
) -> None:
    project.write_text("select 2")
    kept.keep_project("built")
    assert kept.kept_project() is None
