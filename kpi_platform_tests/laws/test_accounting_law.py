"""The accounting law over hostile files: the hour finishes, and every line is accounted for."""

import gzip
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from kpi_platform.cleaned.checks import WHOLE_FILES, check_events
from kpi_platform.schemas.attributes import attribute
from kpi_platform.schemas.findings import FINDINGS, findings_in
from kpi_platform.storage.lake.lake import Lake
from kpi_platform.storage.landing.landing import Landing
from kpi_platform_tests.laws.file_world import FileWorld, unaccounted

HOUR = datetime.fromisoformat("2026-01-01T05:00:00+00:00")
HEADER = b"Category\tTimestamp\tServiceName\tSessionId\tTransactionId\tBodyMessage\n"
MEGABYTES = 1024 * 1024


def line(body: str = '{"Name":"Install"}', txn: str = "1", session: str = "s1") -> bytes:
    fields = ("Telemetry", "2026-01-01T05:10:00.000+0000", "App", session, txn, body)
    return "\t".join(fields).encode() + b"\n"


def sighting(version: str) -> bytes:
    return line(f'{{"Name":"SoftwareVersion","Version":"{version}"}}')


def nested(depth: int) -> bytes:
    return line('{"Name":"Crash","Deep":' + '{"a":' * depth + "1" + "}" * depth + "}")


def lines_of(data: bytes) -> int:
    """Physical lines that count, as the semantics say it."""
    parts = data.removesuffix(b"\n").split(b"\n") if data else []
    return sum(bool(part.strip(b" \t\r\x0b\x0c")) for part in parts)


GARBAGE = random.Random(7).randbytes(5_000)
CUT = gzip.compress(b"".join(line(txn=str(number)) for number in range(3_000)))

# Per case: the file's name and bytes, rows in `cleaned_events`, and quarantined lines by reason.
FILES: dict[str, tuple[str, bytes, int, dict[str, int]]] = {
    "empty": ("a.tsv", b"", 0, {}),
    "blank lines": ("a.tsv", b"\n \n\t\n\r\n", 0, {}),
    "header": ("a.tsv", HEADER + line(), 1, {}),
    "header alone": ("a.tsv", HEADER, 0, {}),
    "byte order mark": ("a.tsv", b"\xef\xbb\xbf" + HEADER + line(), 1, {}),
    "carriage returns": ("a.tsv", line().replace(b"\n", b"\r\n") * 2, 1, {}),
    "no line end": ("a.tsv", line().rstrip(b"\n"), 1, {}),
    "NUL bytes in a field": ("a.tsv", line(session="s\0 1"), 1, {}),
    "NUL bytes alone": ("a.tsv", b"\0\0\0\n", 0, {"wrong_field_count": 1}),
    "no UTF-8": ("a.tsv", line().replace(b"App", b"\xff\xfe"), 0, {"not_utf8": 1}),
    "five fields": ("a.tsv", b"a\tb\tc\td\te\n", 0, {"wrong_field_count": 1}),
    "no time": ("a.tsv", line().replace(b"2026-01-01", b"2026-13-45"), 0, {"bad_timestamp": 1}),
    "beyond 64 bits": ("a.tsv", line(txn=str(2**63)), 0, {"bad_transaction_id": 1}),
    "the last of 64 bits": ("a.tsv", line(txn=str(2**63 - 1)), 1, {}),
    "a number beyond 64 bits": ("a.tsv", line('{"Name":"Crash","Code":' + "9" * 400 + "}"), 1, {}),
    "future": ("a.tsv", line().replace(b"01-01T05", b"01-02T06"), 0, {"future_timestamp": 1}),
    "too late": ("a.tsv", line().replace(b"2026-01-01", b"2025-12-01"), 0, {"too_late": 1}),
    "nested 200 deep": ("a.tsv", nested(200), 1, {}),
    "nested too deep": ("a.tsv", nested(2_000), 0, {"bad_body": 1}),
    "10 kB version": ("a.tsv", sighting("9" * 10_240), 1, {}),
    "duplicate keys": ("a.tsv", line('{"Name":"Crash","Code":"1","Code":"2"}'), 1, {}),
    "no name": ("a.tsv", line('{"Version":"1.0"}'), 0, {"missing_event_name": 1}),
    "no object": ("a.tsv", line("[1, 2]"), 0, {"bad_body": 1}),
    "half a JSON line": ("a.jsonl", b'{"Category":"Telemetry"\n', 0, {"wrong_field_count": 1}),
    "gz that is none": ("a.tsv.gz", line() * 3, 0, {}),
    "zst that is none": ("a.tsv.zst", b"\0" * 100, 0, {}),
    "hidden": (".a.tsv", line(), 0, {}),
    "not telemetry": ("a.parquet", line(), 0, {}),
}


@pytest.fixture
def world(memory_path: Path) -> FileWorld:
    made = FileWorld(memory_path)
    made.landing.mkdir()
    return made


def run(world: FileWorld) -> Lake:
    """Run the hour; it finishes in every table, and every line is accounted for."""
    for table, reports in world.run([HOUR]).items():
        assert [report.status for report in reports] == ["written"], (table, reports)
    lake = Lake(world.lake_uri)
    assert list(unaccounted(lake)) == []
    return lake


def reasons(lake: Lake) -> dict[str, int]:
    counted = lake.scan("quarantined_events").group_by("reason").agg(pl.len()).collect()
    return dict(counted.iter_rows())


def ledger(lake: Lake, column: str) -> int:
    return lake.scan("hour_ledger").collect()[column].sum()


@pytest.mark.parametrize("case", FILES)
def test_every_line_of_a_hostile_file_is_accounted_for(world: FileWorld, case: str) -> None:
    name, data, rows, expected = FILES[case]
    (world.hour_folder(HOUR) / name).write_bytes(data)
    lake = run(world)
    assert lake.scan("cleaned_events").collect().height == rows
    assert reasons(lake) == expected


def test_all_of_them_in_one_hour(world: FileWorld) -> None:
    for number, (name, data, _, _) in enumerate(FILES.values()):
        source = world.hour_folder(HOUR, f"source-{number}")
        (source / name).write_bytes(data)
    lake = run(world)
    assert ledger(lake, "unreadable_files") == 2
    assert ledger(lake, "rows") == sum(rows for _, _, rows, _ in FILES.values())
    assert ledger(lake, "quarantined") == sum(sum(bad.values()) for *_, bad in FILES.values())


def test_garbage(world: FileWorld) -> None:
    (world.hour_folder(HOUR) / "a.tsv").write_bytes(GARBAGE)
    lake = run(world)
    assert ledger(lake, "lines") == lines_of(GARBAGE)
    assert ledger(lake, "rows") == 0


def test_a_line_of_100_megabytes(world: FileWorld) -> None:
    path = world.hour_folder(HOUR) / "a.tsv"
    with path.open("wb") as file:
        file.write(line())
        # A hole in the file: as long as text, and nothing to write.
        file.truncate(100 * MEGABYTES)
        file.seek(0, 2)
        file.write(b"\n" + line(txn="2"))
    lake = run(world)
    assert reasons(lake) == {"line_too_long": 1}
    assert ledger(lake, "rows") == 2
    kept = lake.scan("quarantined_events").collect()["raw_line"].str.len_bytes().to_list()
    assert kept == [64 * 1024]


def test_a_gz_cut_in_half_heals_when_it_is_uploaded_again(world: FileWorld) -> None:
    path = world.hour_folder(HOUR) / "a.tsv.gz"
    path.write_bytes(CUT[: len(CUT) // 2])
    lake = run(world)
    assert ledger(lake, "truncated_files") == 1
    assert 0 < ledger(lake, "rows") < 3_000
    (check,) = [c for c in check_events(lake, [HOUR], 1) if c.spec == WHOLE_FILES]
    (told,) = findings_in(str(check.figures[FINDINGS]), "cleaned_events", check.spec.name)
    assert (check.passed, "a.tsv.gz" in told.cause) == (False, True)
    assert (bool(told.source), "upload these again" in told.mend) == (True, True)
    assert set(reasons(lake)) <= {"wrong_field_count"}
    path.write_bytes(CUT)
    lake = run(world)
    assert (ledger(lake, "truncated_files"), ledger(lake, "rows")) == (0, 3_000)
    assert reasons(lake) == {}


def test_a_directory_named_like_a_file_and_folders_of_no_hour(world: FileWorld) -> None:
    folder = world.hour_folder(HOUR)
    (folder / "a.tsv").mkdir()
    (folder / "a.tsv" / "b.tsv").write_bytes(line())
    wrong = world.landing / "source" / "2026" / "13" / "45" / "99"
    wrong.mkdir(parents=True)
    (wrong / "a.tsv").write_bytes(line())
    (folder / "c.tsv").write_bytes(line())
    lake = run(world)
    assert ledger(lake, "lines") == 1
    # The daily listing names them: they belong to no hour.
    lost = {file.path for file in Landing(str(world.landing)).list_all() if file.hour is None}
    assert lost == {"source/2026/13/45/99/a.tsv", "source/2026/01/01/05/a.tsv/b.tsv"}


def test_a_file_that_vanishes_between_listing_and_reading(
    world: FileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = world.hour_folder(HOUR)
    (folder / "a.tsv").write_bytes(line(txn="1"))
    (folder / "b.tsv").write_bytes(line(txn="2"))
    stream = Landing.stream

    def vanishing(landing: Landing, path: str) -> Iterator[bytes]:
        (world.landing / path).unlink() if path.endswith("a.tsv") else None
        return stream(landing, path)

    monkeypatch.setattr(Landing, "stream", vanishing)
    lake = run(world)
    assert ledger(lake, "lines") == ledger(lake, "files") == 1
    monkeypatch.undo()
    assert {r.status for r in world.run([HOUR])["cleaned_events"]} == {"unchanged"}


def test_the_text_of_values_is_kept(world: FileWorld) -> None:
    version = "9" * 10_240
    bodies = (
        f'{{"Name":"SoftwareVersion","Version":"{version}"}}',
        '{"Name":"SoftwareVersion","Version":"1","Version":"1.10"}',
        "{'Name':'SoftwareVersion','Version':18446744073709551616}",
    )
    data = b"".join(line(body, txn=str(number)) for number, body in enumerate(bodies))
    (world.hour_folder(HOUR) / "a.tsv").write_bytes(data)
    (world.hour_folder(HOUR) / "b.tsv").write_bytes(line('{"Name":"SessionStart","PlayerId":"p"}'))
    lake = run(world)
    events = lake.scan("cleaned_events").sort("transaction_id").collect()
    seen = events.select(attribute("Version")).to_series().drop_nulls().to_list()
    assert seen == [version, "1.10", "18446744073709551616"]
    assert lake.scan("user_version_history").collect()["version_count"].to_list() == [1]


def test_an_hour_without_files_is_processed_and_empty(world: FileWorld) -> None:
    (world.landing / "source").mkdir()
    lake = run(world)
    assert ledger(lake, "lines") == 0
    late = HOUR + timedelta(hours=1)
    assert [r.status for r in world.run([late])["raw_telemetry"]] == ["written"]
