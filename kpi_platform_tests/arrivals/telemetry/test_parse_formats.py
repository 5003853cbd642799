"""Compressed files, whole and damaged, and lines of JSON."""

import gzip
import json
import random
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
import zstandard

from kpi_platform.arrivals.telemetry.parsing.parse import (
    Origin,
    ParsedFile,
    TelemetryFile,
    parse_file,
    parse_files,
)

HOUR = datetime(2026, 1, 1, 5, tzinfo=UTC)
LINES = [
    f"T\t2026-01-01T05:00:00.{n % 1000:03}Z\tA\t{random.Random(n).random()}\t{n}\t{{'Name': 'A'}}\n"
    for n in range(5000)
]
CONTENT = "".join(LINES).encode()


def parse(content: bytes, name: str) -> ParsedFile:
    return parse_file(content, "game", name, HOUR, timedelta(days=30), timedelta(hours=24))


def compress(name: str, content: bytes) -> bytes:
    return gzip.compress(content) if name.endswith("gz") else zstandard.compress(content)


ENDINGS = pytest.mark.parametrize("name", ["a.tsv.gz", "a.tsv.zst"])


@ENDINGS
def test_compressed_files_are_read_whole(name: str) -> None:
    parsed = parse(compress(name, CONTENT), name)
    plain = parse(CONTENT, "a.tsv")
    assert parsed.rows.drop("file_name").equals(plain.rows.drop("file_name"))
    assert not parsed.truncated


@ENDINGS
def test_members_and_frames_are_one_file(name: str) -> None:
    half = len(CONTENT) // 2
    content = compress(name, CONTENT[:half]) + compress(name, b"") + compress(name, CONTENT[half:])
    parsed = parse(content, name)
    assert (parsed.rows.height, parsed.quarantined.height, parsed.truncated) == (5000, 0, False)


@ENDINGS
def test_a_file_cut_short_keeps_its_whole_lines_and_counts_the_cut_one(name: str) -> None:
    content = b"".join(compress(name, CONTENT[at : at + 9001]) for at in range(0, 90_010, 9001))
    whole = CONTENT[: 9 * 9001].count(b"\n")
    parsed = parse(content[: -len(compress(name, CONTENT[81_009:90_010])) // 2], name)
    assert parsed.truncated
    assert not parsed.unreadable
    assert parsed.rows.height >= whole // 2
    assert parsed.quarantined["reason"].to_list() == ["wrong_field_count"]
    assert parsed.quarantined["line_number"].to_list() == [parsed.rows.height + 1]


@ENDINGS
def test_a_damaged_file_is_truncated_where_the_damage_is(name: str) -> None:
    good = compress(name, CONTENT)
    parsed = parse(good + b"garbage", name)
    assert (parsed.rows.height, parsed.truncated, parsed.unreadable) == (5000, True, False)


@ENDINGS
@pytest.mark.parametrize("content", [b"no archive", CONTENT])
def test_a_file_that_cannot_be_opened_is_unreadable(name: str, content: bytes) -> None:
    parsed = parse(content, name)
    assert (parsed.lines, parsed.truncated, parsed.unreadable) == (0, False, True)


@ENDINGS
def test_an_empty_archive_has_no_lines(name: str) -> None:
    parsed = parse(compress(name, b""), name)
    assert (parsed.lines, parsed.truncated, parsed.unreadable) == (0, False, False)


@ENDINGS
def test_a_bomb_is_read_in_blocks(name: str) -> None:
    content = compress(name, b"x" * (256 << 20))
    (part,) = parse_files([TelemetryFile(Origin("game", name, HOUR), [content])], 8 << 20)
    assert [count.lines for count in part.counts] == [1]
    assert len(part.quarantined["raw_line"].item()) == 64 << 10


def event(**changes: object) -> dict[str, object]:
    fields: dict[str, object] = {
        "Category": "T",
        "Timestamp": "2026-01-01T05:00:00Z",
        "ServiceName": "App",
        "SessionId": "S",
        "TransactionId": 20,
        "BodyMessage": {"Name": "A"},
    }
    return {name: value for name, value in (fields | changes).items() if value != "gone"}


def test_a_json_line_keeps_the_source_text_of_its_body() -> None:
    body = '{ "Name":"A", "Version" : 1.10, "n": [1, {"x": 1e5}] }'
    text = json.dumps(event(BodyMessage="@")).replace('"@"', body)
    parsed = parse(text.encode(), "a.jsonl")
    assert parsed.rows["body_message"].to_list() == [body]
    assert parsed.rows["event_name"].to_list() == ["A"]
    assert parsed.rows["title_transaction_id"].to_list() == [20]


def test_a_json_body_may_be_a_string() -> None:
    body = "{'Name': 'A', 'Version': 1.10}"
    rows = parse(json.dumps(event(BodyMessage=body, TransactionId="20")).encode(), "a.jsonl").rows
    assert rows["body_message"].to_list() == [body]
    assert rows["title_transaction_id"].to_list() == [20]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x", "wrong_field_count"),
        ("[]", "wrong_field_count"),
        ('"x"', "wrong_field_count"),
        ("{}", "wrong_field_count"),
        ("{", "wrong_field_count"),
        (json.dumps(event()) + "x", "wrong_field_count"),
        (json.dumps(event())[:-1], "wrong_field_count"),
        (json.dumps(event())[:-1] + ",}", "wrong_field_count"),
        (json.dumps(event(SessionId="gone")), "wrong_field_count"),
        (json.dumps(event(SessionId={})), "wrong_field_count"),
        (json.dumps(event(TransactionId=float("nan"))), "wrong_field_count"),
        ("{" * 100_000, "wrong_field_count"),
        ('{"a":' + "[" * 100_000, "wrong_field_count"),
        (json.dumps(event(Timestamp=None)), "bad_timestamp"),
        (json.dumps(event(TransactionId=2**63)), "bad_transaction_id"),
        (json.dumps(event(TransactionId=20.0)), "bad_transaction_id"),
        (json.dumps(event(TransactionId=True)), "bad_transaction_id"),
    ],
)
def test_json_lines_that_cannot_be_used(text: str, reason: str) -> None:
    parsed = parse(f"\n{text}\n".encode(), "a.jsonl")
    assert parsed.quarantined.select("line_number", "reason").rows() == [(2, reason)]
    assert parsed.quarantined["raw_line"].item() == text[: 64 << 10]


def test_json_oddities_that_are_used() -> None:
    duplicate = json.dumps(event())[:-1] + ', "SessionId": "last", "Other": {"SessionId": 1}}'
    deep = json.dumps(event(BodyMessage="@")).replace('"@"', '{"a":' * 200 + "1" + "}" * 200)
    lone = json.dumps(event(ServiceName="\ud800x", SessionId=None))
    rows = parse("\n".join([duplicate, deep, lone]).encode(), "b.JSONL.gz".removesuffix(".gz")).rows
    assert rows["title_session_id"].to_list() == ["last", "S", ""]
    assert rows["service_name"].to_list() == ["App", "App", "\ufffdx"]


def test_a_gzipped_json_file() -> None:
    content = "\n".join(json.dumps(event(TransactionId=n)) for n in range(100)).encode()
    parsed = parse(gzip.compress(content), "a.jsonl.gz")
    assert parsed.rows["title_transaction_id"].to_list() == list(range(100))
    assert isinstance(parsed.rows, pl.DataFrame)
