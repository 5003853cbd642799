"""Files as the world writes them: odd compressions, joins, cuts and names, one at a time."""

import gzip
import json
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime

import polars as pl
import pytest
import zstandard
from polars.exceptions import PanicException

from kpi_platform.arrivals.telemetry.lines import BLOCK_LINES
from kpi_platform.arrivals.telemetry.parsing import parse
from kpi_platform.arrivals.telemetry.parsing.parse import (
    FileCounts,
    Origin,
    ParsedPart,
    TelemetryFile,
    parse_files,
)
from kpi_platform.schemas.texts.file_names import Format

HOUR = datetime(2026, 1, 1, 5, tzinfo=UTC)
HEADER = "Category\tTimestamp\tServiceName\tSessionId\tTransactionId\tBodyMessage"
BOM = "\ufeff"


def lines(count: int, first: int = 0) -> bytes:
    made = (
        f"T\t2026-01-01T05:00:00.{n % 1000:03}Z\tApp\tS{n}\t{n}\t{{'Name': 'A'}}\n"
        for n in range(first, first + count)
    )
    return "".join(made).encode()


def event(number: int, **changes: object) -> str:
    fields: dict[str, object] = {
        "Category": "T",
        "Timestamp": "2026-01-01T05:00:00Z",
        "ServiceName": "App",
        "SessionId": "S",
        "TransactionId": number,
        "BodyMessage": {"Name": "A"},
    }
    return json.dumps(fields | changes)


def read(
    content: bytes, name: str, format: Format = "auto"
) -> tuple[pl.DataFrame, pl.DataFrame, FileCounts]:
    origin = Origin("game", name, HOUR, format=format)
    parts = list(parse_files([TelemetryFile(origin, [content])]))
    total = parts[0].counts[0]
    for part in parts[1:]:
        total = total.plus(part.counts[0])
    rows = pl.concat([part.rows for part in parts])
    quarantined = pl.concat([part.quarantined for part in parts])
    assert (total.rows, total.quarantined) == (rows.height, quarantined.height)
    assert total.error == ""
    return rows, quarantined, total


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (gzip.compress(lines(50)), "a.tsv"),
        (gzip.compress(gzip.compress(lines(50))), "a.tsv.gz"),
        (zlib.compress(lines(50)), "a.tsv"),
        (zstandard.compress(lines(50)), "a.jsonl"),
        (zstandard.compress(b"x" * (64 << 20)), "a.tsv"),
    ],
    # Not the bytes, which tell when they were packed.
    ids=["gzip", "gzip twice", "zlib", "zstandard", "one long line"],
)
def test_what_is_compressed_under_another_name_is_quarantined_line_by_line(
    content: bytes, name: str
) -> None:
    physical = gzip.decompress(content) if name.endswith(".gz") else content
    counted = [line for line in physical.split(b"\n") if line.strip()]
    rows, quarantined, counts = read(content, name)
    assert rows.is_empty()
    assert quarantined.height == counts.lines == len(counted)


def test_text_that_begins_like_an_archive_is_text() -> None:
    for start in (b"x^y", b"x\x01y", b"x\xda", b"\x1f\x8b", b"x\x9c"):
        category = start.decode("latin-1").encode()
        rows, *_ = read(category + lines(1)[1:] + lines(1), "a.tsv")
        assert rows.height == 2


@pytest.mark.parametrize("name", ["A.TSV.GZ", "part-00000", "part.gz", "events.log", "a.TSV"])
def test_names_tell_what_they_can_and_first_bytes_the_rest(name: str) -> None:
    content = lines(3) if name == "a.TSV" else gzip.compress(lines(3))
    rows, *_ = read(content, name)
    assert rows.height == 3


def test_a_text_without_a_known_ending_is_json_if_it_begins_so_or_its_source_says_so() -> None:
    content = f"{BOM}\n {event(1)}\n{event(2)}".encode()
    for packed in (content, gzip.compress(content), zstandard.compress(content)):
        assert read(packed, "part-0")[0].height == 2
        assert read(packed, "part-0", "jsonl")[0].height == 2
        assert read(packed, "part-0", "tsv")[1].height == 2
    assert read(lines(2), "part-0", "tsv")[0].height == 2
    assert read(lines(2), "part-0", "jsonl")[1].height == 2
    # What the name says is not asked again.
    assert read(lines(2), "part-0.tsv", "jsonl")[0].height == 2


def test_a_mark_of_byte_order_and_a_header_may_stand_in_the_middle() -> None:
    start = f"{BOM}{HEADER}\r\n".encode()
    rows, quarantined, _ = read(start + lines(2) + start + BOM.encode() + lines(1, 2), "a.tsv")
    assert rows["category"].to_list() == ["T", "T", "T"]
    assert rows["line_number"].to_list() == [2, 3, 5]
    assert quarantined.is_empty()
    json_rows, bad, _ = read(f"{BOM}{event(1)}\n{BOM}{event(2)}\n{BOM}".encode(), "a.jsonl")
    assert (json_rows.height, bad.height) == (2, 0)


@pytest.mark.parametrize("joint", [b"\n", b"\r\n", b"\n\n", b"\0" * 512])
@pytest.mark.parametrize("name", ["a.tsv.gz", "a.tsv.zst"])
def test_members_may_be_joined_by_line_ends_or_padding(joint: bytes, name: str) -> None:
    pack = gzip.compress if name.endswith("gz") else zstandard.compress
    rows, _, counts = read(pack(lines(2)) + joint + pack(lines(2, 2)) + joint, name)
    assert rows["title_transaction_id"].to_list() == [0, 1, 2, 3]
    assert not counts.truncated
    if b"\n" in joint:
        # Records packed one by one: the line end stands outside.
        packed = joint.join(pack(lines(1, n).rstrip()) for n in range(4))
        assert read(packed, name)[0]["title_transaction_id"].to_list() == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["a.tsv.gz", "a.tsv.zst"])
def test_what_lies_behind_a_whole_member_takes_none_of_its_lines(name: str) -> None:
    pack = gzip.compress if name.endswith("gz") else zstandard.compress
    rows, quarantined, counts = read(pack(lines(3).rstrip()) + b"garbage", name)
    assert (rows.height, quarantined.height, counts.truncated) == (3, 0, True)


def test_a_wrong_checksum_costs_no_line_that_was_read() -> None:
    content = bytearray(gzip.compress(lines(1000)))
    content[-8] ^= 1
    rows, quarantined, counts = read(bytes(content), "a.tsv.gz")
    assert (rows.height, quarantined.height, counts.truncated) == (1000, 0, True)
    packed = zstandard.ZstdCompressor(write_checksum=True).compress(lines(1000))
    rows, quarantined, counts = read(packed[:-1] + b"\0", "a.tsv.zst")
    assert (rows.height, quarantined.height, counts.truncated) == (1000, 0, True)


def test_skippable_frames_hold_no_text() -> None:
    frame = b"\x53\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"
    content = frame + zstandard.compress(lines(2)) + frame + zstandard.compress(lines(1, 2))
    rows, _, counts = read(content, "a.tsv.zst")
    assert (rows.height, counts.truncated, counts.unreadable) == (3, False, False)


def test_a_file_without_a_byte_is_empty_whatever_its_name() -> None:
    for name in ("a.tsv.gz", "a.jsonl.zst", "a.tsv", "part-0"):
        assert read(b"", name)[2] == FileCounts(0, 0, 0)


@pytest.mark.parametrize("between", ["", " ", "\t \r", "\n", "\r\n"])
def test_json_objects_follow_each_other_with_or_without_line_ends(between: str) -> None:
    body = {"Name": "A", "text": 'quotes \\" and }{"Category": in a text, \\'}
    content = between.join(event(n, BodyMessage=body) for n in range(5)).encode()
    rows, quarantined, _ = read(content, "a.jsonl")
    assert quarantined.is_empty()
    assert rows["title_transaction_id"].to_list() == list(range(5))
    assert rows["line_number"].to_list() == [1, 2, 3, 4, 5]


def test_an_object_cut_off_on_a_shared_line_costs_none_but_its_neighbour() -> None:
    content = f'{event(0)}{{"Category": "T{event(1)}{event(2)}{{}}{event(3)}{{}}{{}}'
    rows, quarantined, _ = read(content.encode(), "a.jsonl")
    assert rows["title_transaction_id"].to_list() == [0, 2, 3]
    assert quarantined["line_number"].to_list() == [2, 4, 6, 7]


def test_megabytes_of_objects_on_one_line_are_lines() -> None:
    content = "".join(event(n) for n in range(20_000)).encode()
    rows, quarantined, _ = read(content, "firehose-1")
    assert (rows.height, quarantined.height) == (20_000, 0)
    assert rows["line_number"].to_list() == list(range(1, 20_001))


def test_what_is_no_number_in_json_is_kept_like_in_other_bodies() -> None:
    content = event(1, BodyMessage={"Name": "Purchase", "Amount": float("nan")}).encode()
    rows, *_ = read(content, "a.jsonl")
    assert rows.select("body_message", "event_name").rows() == [
        ('{"Name": "Purchase", "Amount": NaN}', "Purchase")
    ]


def test_no_field_holds_a_nul() -> None:
    tabular = lines(1).replace(b"App", b"A\0p").replace(b"'A'", b"'\0'")
    rows, *_ = read(tabular, "a.tsv")
    assert rows.select("service_name", "event_name").rows() == [("A\ufffdp", "\ufffd")]
    content = event(1, SessionId="a\0b", BodyMessage={"Name": "x\0"}).encode()
    rows, *_ = read(content, "a.jsonl")
    assert rows.select("title_session_id", "event_name").rows() == [("a\ufffdb", "x\ufffd")]
    # The quarantine keeps the source text.
    bad = read(b"a\0b\n", "a.tsv")[1]
    assert bad["raw_line"].to_list() == ["a\0b"]


def test_many_short_lines_come_in_portions() -> None:
    content = gzip.compress(b"x\n" * (3 * BLOCK_LINES))
    parts = list(parse_files([TelemetryFile(Origin("game", "a.tsv.gz", HOUR), [content])]))
    assert sum(part.quarantined.height for part in parts) == 3 * BLOCK_LINES
    assert max(part.quarantined.height for part in parts) <= 2 * BLOCK_LINES


def test_small_files_are_parsed_together_and_counted_apart() -> None:
    files = [
        TelemetryFile(Origin("one", "0.tsv", HOUR), [lines(2)]),
        TelemetryFile(Origin("two", "1.jsonl", HOUR), [b"x\n", event(7).encode()]),
        TelemetryFile(Origin("two", "2.tsv.gz", HOUR), [b"no archive"]),
        TelemetryFile(Origin("one", "3.tsv.gz", HOUR), [gzip.compress(lines(1) + b"half")[:-1]]),
        TelemetryFile(Origin("one", "4.tsv", HOUR), []),
        TelemetryFile(Origin("one", "5.tsv", HOUR.replace(hour=6)), [lines(1) + b"bad"]),
    ]
    (part,) = parse_files(files)
    assert part.counts == (
        FileCounts(0, 2, 0),
        FileCounts(1, 1, 1),
        FileCounts(2, 0, 0, unreadable=True),
        FileCounts(3, 1, 1, truncated=True),
        FileCounts(4, 0, 0),
        FileCounts(5, 1, 1),
    )
    columns = ("source", "file_name", "line_number", "p_ingest_hour_utc")
    assert part.rows.select(columns).rows() == [
        ("one", "0.tsv", 1, 5),
        ("one", "0.tsv", 2, 5),
        ("two", "1.jsonl", 2, 5),
        ("one", "3.tsv.gz", 1, 5),
        ("one", "5.tsv", 1, 6),
    ]
    assert part.quarantined.select(columns).rows() == [
        ("two", "1.jsonl", 1, 5),
        ("one", "3.tsv.gz", 2, 5),
        ("one", "5.tsv", 2, 6),
    ]


def _forbidden(before: bytes = b"") -> Iterator[bytes]:
    if before:
        yield before
    raise PermissionError("403")


def test_a_file_that_may_not_be_read_is_unreadable_and_its_neighbours_are_read() -> None:
    origins = [Origin("game", f"{n}.tsv", HOUR) for n in range(4)]
    contents = [[lines(1)], _forbidden(), _forbidden(lines(1) + b"T\thalf"), [lines(1)]]
    files = [TelemetryFile(*pair) for pair in zip(origins, contents, strict=True)]
    (part,) = parse_files(files)
    error = "PermissionError: 403"
    assert part.counts == (
        FileCounts(0, 1, 0),
        FileCounts(1, 0, 0, unreadable=True, error=error),
        FileCounts(2, 1, 1, truncated=True, error=error),
        FileCounts(3, 1, 0),
    )


def test_a_store_that_cannot_be_reached_is_no_files_fault() -> None:
    def lost() -> Iterator[bytes]:
        yield lines(1)
        raise TimeoutError("no answer")

    with pytest.raises(TimeoutError, match="no answer"):
        list(parse_files([TelemetryFile(Origin("game", "a.tsv", HOUR), lost())]))


@pytest.mark.parametrize("failure", [ValueError, PanicException, RecursionError, KeyError])
def test_whatever_the_parser_raises_is_the_files_own(
    failure: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = parse.judge_usual

    def raising(fields: pl.DataFrame, origins: object) -> pl.DataFrame:
        if fields["SessionId"].eq("poison").any():
            raise failure("boom")
        return judge(fields, origins)  # type: ignore[arg-type]

    monkeypatch.setattr(parse, "judge_usual", raising)
    origins = [Origin("game", f"{n}.tsv", HOUR) for n in range(3)]
    contents = [lines(2), lines(2).replace(b"S1", b"poison"), lines(1)]
    files = [TelemetryFile(o, [c]) for o, c in zip(origins, contents, strict=True)]
    part: ParsedPart
    (part,) = parse_files(files)
    assert [(c.rows, c.unreadable) for c in part.counts] == [(2, False), (0, True), (1, False)]
    assert "boom" in part.counts[1].error
    assert part.rows["file_name"].to_list() == ["0.tsv", "0.tsv", "2.tsv"]
