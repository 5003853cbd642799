"""What the user's cache keeps of parsed dbt projects, and that nothing depends on it."""

import os
from pathlib import Path

import pytest

from kpi_platform.storage.kpi_database import parsed_projects
from kpi_platform.storage.kpi_database.parsed_projects import KEPT, fetch, keep


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "kpi_platform" / "dbt"


def _files(folder: Path, *texts: str) -> list[Path]:
    folder.mkdir(parents=True)
    files = [folder / f"{number}.json" for number in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
    return files


def test_another_home_gets_what_was_kept_under_the_same_key(cache: Path, tmp_path: Path) -> None:
    keep("one", _files(tmp_path / "a", "x", "y"))
    other = _files(tmp_path / "b", "", "")
    assert not fetch("two", other)
    assert fetch("one", other)
    assert [file.read_text() for file in other] == ["x", "y"]
    assert [folder.name for folder in cache.iterdir()] == ["one"]


def test_what_is_not_whole_is_not_there(cache: Path, tmp_path: Path) -> None:
    files = _files(tmp_path / "a", "x", "y")
    keep("one", [files[0]])
    assert not fetch("one", files)
    # Who comes second leaves what is there.
    keep("one", files)
    assert sorted(each.name for each in (cache / "one").iterdir()) == ["0.json"]
    keep("two", [*files, tmp_path / "missing"])
    assert [folder.name for folder in cache.iterdir()] == ["one"]


def test_the_projects_least_used_go(cache: Path, tmp_path: Path) -> None:
    files = _files(tmp_path / "a", "x")
    for number in range(KEPT):
        keep(str(number), files)
        os.utime(cache / str(number), (number + 1, number + 1))
    assert fetch("0", files)
    keep("new", files)
    assert {folder.name for folder in cache.iterdir()} == {"new", "0", "2", "3", "4"}


def test_a_cache_that_cannot_be_written_is_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = _files(tmp_path / "a", "x")
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    keep("one", files)
    assert not fetch("one", files)
    # No home folder is known either.
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setattr(parsed_projects.Path, "home", _no_home)
    keep("one", files)
    assert not fetch("one", files)


def _no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")
