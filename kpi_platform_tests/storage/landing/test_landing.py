"""The landing zone in a folder: which files belong to which hour, and which to none."""

import errno
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import obstore
import pytest
from obstore.exceptions import PermissionDeniedError

from kpi_platform.storage.landing import landing as landing_module
from kpi_platform.storage.landing.landing import Landing, LandingError, LandingFile
from kpi_platform.storage.local_servers.local_s3 import S3Server

FIVE = datetime(2026, 1, 1, 5, tzinfo=UTC)


def _put(root: Path, path: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("x\n")


def _file(path: str) -> LandingFile:
    return LandingFile(path, 1, "", FIVE)


@pytest.mark.parametrize(
    ("path", "hour"),
    [
        ("game/2026/01/01/05/a.tsv", FIVE),
        ("game/2026/13/45/99/a.tsv", None),
        ("game/2026/01/01/a.tsv", None),
        ("game/2026/01/01/05/deeper/a.tsv", None),
        ("game/2026/1/1/5/a.tsv", None),
        ("a.tsv", None),
    ],
)
def test_the_folder_says_the_hour_or_none(path: str, hour: datetime | None) -> None:
    assert _file(path).hour == hour


@pytest.mark.parametrize(
    ("name", "is_readable"),
    [
        ("a.tsv", True),
        ("a b%.jsonl.zst", True),
        ("a.tsv.gz", True),
        (".a.tsv", False),
        ("_temporary.tsv", False),
        ("a.csv", False),
        ("a.tsv.bak", False),
        ("a.tsv.tmp", False),
        ("part-0.inprogress", False),
        ("A.TSV.GZ", True),
        ("part-00000", True),
        ("firehose-1-2026-01-01-05-00-00-ab", True),
        ("part-0.c000.gz", True),
        ("part-0.snappy.parquet", False),
    ],
)
def test_hidden_files_and_other_endings_are_not_read(name: str, is_readable: bool) -> None:
    assert _file(f"game/2026/01/01/05/{name}").is_readable == is_readable


def test_hours_are_listed_singly_or_by_the_day(tmp_path: Path) -> None:
    for hour in ("05", "06", "07"):
        _put(tmp_path, f"game/2026/01/01/{hour}/a.tsv")
    (tmp_path / "game/2026/01/01/05/folder.tsv").mkdir()
    landing = Landing(str(tmp_path))
    assert landing.folders() == ["game"]
    single = landing.list_hours("game", [FIVE])
    assert [file.path for file in single[FIVE]] == ["game/2026/01/01/05/a.tsv"]
    eight = FIVE + timedelta(hours=3)
    listed = landing.list_hours("game", [FIVE, FIVE + timedelta(hours=1), eight])
    assert [len(files) for files in listed.values()] == [1, 1, 0]


def test_many_folders_of_a_slow_store_are_listed_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"game{number:03}" for number in range(500)]
    for name in names[::50]:
        _put(tmp_path, f"{name}/2026/01/01/05/a.tsv")
    landing = Landing(str(tmp_path))
    hours = [FIVE, FIVE + timedelta(hours=1)]
    alone = {name: landing.list_hours(name, hours) for name in names}
    at_once = landing._list

    def slow(prefix: str | None) -> Iterator[LandingFile]:
        time.sleep(0.06)
        return at_once(prefix)

    monkeypatch.setattr(landing, "_list", slow)
    started = time.monotonic()
    assert landing.list_folders(names, hours) == alone
    # One after the other they take 30 s.
    assert time.monotonic() - started < 10


def test_a_file_is_read_in_whole_and_a_missing_one_says_so(tmp_path: Path) -> None:
    _put(tmp_path, "game/2026/01/01/05/a.tsv")
    landing = Landing(str(tmp_path))
    assert b"".join(landing.stream("game/2026/01/01/05/a.tsv")) == b"x\n"
    with pytest.raises(FileNotFoundError):
        list(landing.stream("game/2026/01/01/05/gone.tsv"))


@pytest.mark.parametrize("uri", ["/no/such/folder", "nope://bucket/x"])
def test_a_wrong_address_names_the_setting_in_one_line(uri: str) -> None:
    with pytest.raises(LandingError, match=r"^KPI_LANDING_URI: ") as error:
        Landing(uri)
    # What is no place at all may hold a password: it is not repeated.
    assert (uri in str(error.value)) is uri.startswith("/")
    assert "\n" not in str(error.value)


def test_a_name_that_is_no_object_path_hides_no_other_file(tmp_path: Path) -> None:
    _put(tmp_path, "game/2026/01/01/05/a.tsv")
    _put(tmp_path, "game/2026/01/01/05/tab\there.tsv")
    files = Landing(str(tmp_path)).list_hours("game", [FIVE])[FIVE]
    assert [file.path for file in files if file.is_readable] == ["game/2026/01/01/05/a.tsv"]
    assert [file.path for file in files if not file.is_readable] == [
        "game/2026/01/01/05/tab\\there.tsv (unreadable name)"
    ]


def test_both_ways_of_listing_show_a_file_alike(tmp_path: Path) -> None:
    _put(tmp_path, "game/2026/01/01/05/a.tsv")
    _put(tmp_path, "game/2026/01/01/05/ä b%2F.tsv")
    (tmp_path / "game/2026/01/01/05/link.tsv").symlink_to("a.tsv")
    (tmp_path / "game/2026/01/01/05/nowhere.tsv").symlink_to("gone.tsv")
    landing = Landing(str(tmp_path))
    first = landing.list_hours("game", [FIVE])[FIVE]
    assert len(first) == 3
    _put(tmp_path, "game/2026/01/01/05/tab\there.tsv")
    (tmp_path / "game/2026/01/01/05/loop").symlink_to("../05")
    latin = os.fsencode(tmp_path / "game/2026/01/01/05") + b"/caf\xe9.tsv"
    Path(os.fsdecode(latin)).write_text("x\n")
    second = landing.list_hours("game", [FIVE])[FIVE]
    assert [file for file in second if file.is_readable] == first
    assert sorted(file.path for file in second if not file.is_readable) == [
        "game/2026/01/01/05/caf\\udce9.tsv (unreadable name)",
        "game/2026/01/01/05/tab\\there.tsv (unreadable name)",
    ]


def test_odd_folders_stop_no_listing_and_writers_folders_are_no_sources(tmp_path: Path) -> None:
    for folder in ("game", "_staging", ".cache", "lost+found", "processing-failed", "tab\there"):
        _put(tmp_path, f"{folder}/2026/01/01/05/a.tsv")
    landing = Landing(str(tmp_path))
    assert landing.folders() == ["game"]
    (file,) = landing.list_hours("game", [FIVE])[FIVE]
    assert file.is_readable


def test_a_folder_without_rights_is_named_and_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put(tmp_path, "game/2026/01/01/05/a.tsv")
    _put(tmp_path, "game/2026/01/01/06/a.tsv")
    scan = os.scandir

    def guarded(path: Path) -> object:
        if str(path).endswith("06"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(obstore, "list", refused)
    monkeypatch.setattr(os, "scandir", guarded)
    found = list(Landing(str(tmp_path)).list_all())
    assert [(file.path, file.is_readable) for file in found] == [
        ("game/2026/01/01/05/a.tsv", True),
        ("game/2026/01/01/06 (no access)", False),
    ]


@pytest.mark.parametrize(
    "error", [PermissionDeniedError("403"), OSError(errno.EIO, "Input/output error")]
)
def test_one_file_that_cannot_be_read_is_told_from_a_store_that_cannot(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder.tsv").mkdir()
    landing = Landing(str(tmp_path))
    with pytest.raises(PermissionError):
        list(landing.stream("folder.tsv"))

    def raising(raised: Exception) -> Callable[[Path], Iterator[bytes]]:
        def read(_: Path) -> Iterator[bytes]:
            yield b"x"
            raise raised

        return read

    monkeypatch.setattr(landing_module, "_read", raising(error))
    with pytest.raises(PermissionError):
        list(landing.stream("a.tsv"))
    monkeypatch.setattr(landing_module, "_read", raising(OSError(errno.EMFILE, "Too many")))
    with pytest.raises(OSError, match="Too many") as other:
        list(landing.stream("a.tsv"))
    assert not isinstance(other.value, PermissionError)


def test_in_s3_too_and_the_others_look_the_same_as_before(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    uri, client = s3_server.create_bucket("odd-names"), s3_server.client()
    hour = "landing/game/2026/01/01/05"
    client.put_object(Bucket="odd-names", Key=f"{hour}/a.tsv", Body=b"x\n")
    for marker in (f"{hour}/", "landing/", "landing/game/", "landing/game/2026/01/01/"):
        client.put_object(Bucket="odd-names", Key=marker, Body=b"")
    landing = Landing(f"{uri}/landing")
    before = landing.list_hours("game", [FIVE])[FIVE]
    assert [file.path for file in landing.list_all()] == ["game/2026/01/01/05/a.tsv"]
    assert landing.folders() == ["game"]
    client.put_object(Bucket="odd-names", Key=f"{hour}/new\nline.tsv", Body=b"x\n")
    odd, same = landing.list_hours("game", [FIVE])[FIVE][::-1]
    assert [same] == before
    assert odd.path == "game/2026/01/01/05/new\\nline.tsv (unreadable name)"
    assert not odd.is_readable
    assert [file.path for file in landing.list_all()] == [same.path, odd.path]


def test_an_odd_name_beside_them_changes_no_other_files_looks(tmp_path: Path) -> None:
    _put(tmp_path, "game/2026/01/01/05/a.tsv")
    landing = Landing(str(tmp_path))
    before = landing.list_hours("game", [FIVE])[FIVE]
    for name in ("b\n.tsv", "c%20d.tsv", "é.tsv", "x{1}^2~#.tsv"):
        _put(tmp_path, f"game/2026/01/01/05/{name}")
    (tmp_path / "odd\nfolder").mkdir()
    (tmp_path / "game/2026/01/01/05/link.tsv").symlink_to(tmp_path / "nowhere")
    (tmp_path / "game/2026/01/01/05/circle").symlink_to(tmp_path / "game")
    after = landing.list_hours("game", [FIVE])[FIVE]
    assert before[0] in after
    names = [file.path.rpartition("/")[2] for file in after if file.is_readable]
    assert names == ["a.tsv", "c%20d.tsv", "x{1}^2~#.tsv", "é.tsv"]
    assert all(b"".join(landing.stream(f.path)) == b"x\n" for f in after if f.is_readable)
    assert landing.folders() == ["game"]


def test_other_content_of_the_same_size_and_time_looks_different(tmp_path: Path) -> None:
    _put(tmp_path, "game/2026/01/01/05/a.tsv")
    path, landing = tmp_path / "game/2026/01/01/05/a.tsv", Landing(str(tmp_path))
    before, times = landing.list_hours("game", [FIVE])[FIVE][0], path.stat()
    time.sleep(0.02)
    with path.open("r+") as file:
        file.write("y\n")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    after = landing.list_hours("game", [FIVE])[FIVE][0]
    assert (after.size, after.etag, after.modified_at) == (
        before.size,
        before.etag,
        before.modified_at,
    )
    assert after.identity != before.identity
    assert after.is_young(time.time_ns())
    assert not after.is_young(time.time_ns() + 10**10)
