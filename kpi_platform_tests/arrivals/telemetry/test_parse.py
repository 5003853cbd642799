"""Telemetry files -> rows and quarantined lines: every reason, every form, nothing lost."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi_platform.arrivals.telemetry.parsing.parse import (
    Origin,
    ParsedFile,
    TelemetryFile,
    parse_file,
    parse_files,
)
from kpi_platform.schemas.tables import QuarantinedEvents, RawTelemetry

HOUR = datetime(2021, 12, 24, 11, tzinfo=UTC)
EXAMPLE = (
    "Telemtery 2021-12-24T11:31:19.459+0000 ClientApp 28E93968461E0CF4CBB8429D25B213A0 20 "
    "{ 'Name': 'SoftwareVersion', 'Version': 1.22.03, 'Device': 'Gameboy'}"
)
BODY = "{ 'Name': 'SoftwareVersion', 'Version': 1.22.03}"


def parse(content: str | bytes, name: str = "game/2021/12/24/11/part-0.tsv") -> ParsedFile:
    raw = content.encode() if isinstance(content, str) else content
    parsed = parse_file(raw, "game", name, HOUR, timedelta(days=30), timedelta(hours=24))
    RawTelemetry.validate(parsed.rows)
    QuarantinedEvents.validate(parsed.quarantined)
    return parsed


def line(
    time: str = "2021-12-24T11:31:19.459+0000", transaction: str = "20", body: str = BODY
) -> str:
    return f"Telemetry\t{time}\tClientApp\tS1\t{transaction}\t{body}\n"


def reasons(parsed: ParsedFile) -> list[tuple[int, str]]:
    return parsed.quarantined.select("line_number", "reason").rows()


def test_the_documents_own_example() -> None:
    parsed = parse(EXAMPLE)
    assert parsed.rows.to_dicts() == [
        {
            "source": "game",
            "category": "Telemtery",
            "event_timestamp_utc": datetime(2021, 12, 24, 11, 31, 19, 459000, UTC),
            "service_name": "ClientApp",
            "title_session_id": "28E93968461E0CF4CBB8429D25B213A0",
            "title_transaction_id": 20,
            "body_message": "{ 'Name': 'SoftwareVersion', 'Version': 1.22.03, 'Device': 'Gameboy'}",
            "event_name": "SoftwareVersion",
            "raw_line": None,
            "file_name": "game/2021/12/24/11/part-0.tsv",
            "line_number": 1,
            "p_ingest_date_utc": HOUR.date(),
            "p_ingest_hour_utc": 11,
        }
    ]
    wrapped = EXAMPLE.replace(" 20 ", " 20\n    ").splitlines()
    assert parse(" ".join(part.strip() for part in wrapped)).rows.equals(parsed.rows)


def test_fields_are_split_at_the_first_five_separators() -> None:
    spaced = EXAMPLE.replace(" ClientApp", "    ClientApp")
    tabbed = "A B\t2021-12-24T11:31:19Z\tC D\t\t 7 \t{'Name': 'X', 'v': 'a\tb'}"
    rows = parse(f"{spaced}\n  {EXAMPLE}\n{tabbed}\n").rows
    assert rows["service_name"].to_list() == ["ClientApp", "ClientApp", "C D"]
    assert rows["title_session_id"].to_list()[2] == ""
    assert rows["title_transaction_id"].to_list()[2] == 7
    assert rows["body_message"].to_list()[2] == "{'Name': 'X', 'v': 'a\tb'}"


def test_headers_and_blank_lines_are_no_lines_but_have_numbers() -> None:
    header = "Category\tTimestamp\tServiceName\tSessionId\tTransactionId\tBodyMessage"
    content = f"\ufeff{header}\r\n\n \t \r\n{line()}{header.lower().replace(chr(9), ' ')}\n{line()}"
    parsed = parse(content)
    assert parsed.lines == 2
    assert parsed.rows["line_number"].to_list() == [4, 6]


def test_carriage_returns_nul_and_a_missing_last_line_end() -> None:
    parsed = parse(line(body="{'Name': 'a\x00b'}").replace("\n", "\r\n") + line().rstrip("\n"))
    assert parsed.rows["body_message"].to_list() == ["{'Name': 'a\ufffdb'}", BODY]
    assert parsed.rows["event_name"].to_list() == ["a\ufffdb", "SoftwareVersion"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("x" * (1 << 20) + line(), "line_too_long"),
        ("a\tb\tc\td\te\n", "wrong_field_count"),
        ("a b c d e\n", "wrong_field_count"),
        (line(time="2021-02-30T00:00:00Z"), "bad_timestamp"),
        (line(time="2021-12-24T11:31:19.459"), "bad_timestamp"),
        (line(time="yesterday", transaction="x"), "bad_timestamp"),
        (line(transaction="9223372036854775808"), "bad_transaction_id"),
        (line(transaction="1.5"), "bad_transaction_id"),
        (line(transaction=""), "bad_transaction_id"),
        (line(time="2021-12-25T12:00:00.000Z"), "future_timestamp"),
        (line(time="2021-11-24T10:59:59.999999Z"), "too_late"),
    ],
)
def test_every_reason(bad: str, reason: str) -> None:
    parsed = parse(line() + bad + line())
    assert reasons(parsed) == [(2, reason)]
    assert parsed.rows["line_number"].to_list() == [1, 3]
    assert parsed.quarantined["raw_line"].item() == bad.rstrip("\n")[: 64 << 10]
    assert parsed.quarantined["p_stage"].item() == "read"


def test_the_window_is_half_open() -> None:
    inside = [line(time="2021-11-24T11:00:00Z"), line(time="2021-12-25T11:59:59.999999999Z")]
    assert parse("".join(inside)).rows.height == 2


def test_bytes_that_are_no_utf8_are_escaped() -> None:
    parsed = parse(line().encode() + b"a\xff\xc3\xa9\xc3\r\n" + line().encode())
    assert reasons(parsed) == [(2, "not_utf8")]
    assert parsed.quarantined["raw_line"].item() == "a\\xffé\\xc3"
    assert parsed.rows["line_number"].to_list() == [1, 3]


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2021-12-24T11:31:19.459+0000", "11:31:19.459000"),
        ("2021-12-24T11:31:19Z", "11:31:19.000000"),
        ("2021-12-24 11:31:19.5z", "11:31:19.500000"),
        ("2021-12-24T11:31:19.123456789+00:00", "11:31:19.123456"),
        ("2021-12-24T12:31:19+01", "11:31:19.000000"),
        ("2021-12-24T04:01:19.1-0730", "11:31:19.100000"),
        (" 2021-12-24T17:16:19+05:45 ", "11:31:19.000000"),
    ],
)
def test_timestamps(text: str, utc: str) -> None:
    at = parse(line(time=text)).rows["event_timestamp_utc"].item()
    assert at.strftime("%H:%M:%S.%f") == utc


@pytest.mark.parametrize(
    "text",
    [
        "2021-12-24T24:00:00Z", "2021-12-24T11:31:60Z", "2021-13-24T11:31:19Z", "2021-12-24T11:31Z",
        "2021-12-24T11:31:19.Z", "2021-12-24T11:31:19.1234567890Z", "2021-12-24T11:31:19+2400",
        "2021-12-24T11:31:19.+59+0000", "2021-12-24T11:31: 9.459+0000", "0000-00-00T00:00:00Z",
        "٢021-12-24T11:31:19.459+0000", "", "1640345479", "2021-12-24T11:31:19.459+0000x",
    ],
)  # fmt: skip
def test_no_timestamps(text: str) -> None:
    assert reasons(parse(line(time=text))) == [(1, "bad_timestamp")]


def test_year_zero_and_year_9999_are_judged_not_failed() -> None:
    parsed = parse(line(time="0000-01-01T00:00:00Z") + line(time="9999-12-31T23:59:59.999-2359"))
    assert reasons(parsed) == [(1, "too_late"), (2, "future_timestamp")]


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ("{'Version': 1, 'Name': 'A'}", "A"),
        ("{'Name': 'A', 'Name': 'B'}", "B"),
        ("{'a': {'Name': 'B'}, 'Name': 'A'}", "A"),
        ("{'Name': 'A\", b', 'c': \"d'}", None),
        ("{'Name': 'A\", b'}", 'A", b'),
        ("{'Name': 'A:b'}", "A:b"),
        (" {'Name': 'A', 'UserName': 'Name'} ", "A"),
        ('{"Name": 1.10, "a": {"b": [1]}}', "1.10"),
        ('{"Name": "Größe"}', "Größe"),
        (r'{"N\u0061me": "B", "Other": "A"}', "B"),
        (r'{"Name": "A", "N\u0061me": "B"}', "B"),
        ("{'Other': 'A'}", None),
        ("no body", None),
    ],
)
def test_event_names(body: str, name: str | None) -> None:
    assert parse(line(body=body)).rows["event_name"].to_list() == [name]
    many = parse(line(body=body) * 2001 + line()).rows["event_name"]
    assert many.to_list() == [name] * 2001 + ["SoftwareVersion"]


def test_empty_files() -> None:
    for content in (b"", b"\n", b"\xef\xbb\xbf", b"\r\n \n"):
        parsed = parse(content)
        assert (parsed.lines, parsed.truncated, parsed.unreadable) == (0, False, False)


def test_a_line_of_100_mb_is_held_in_little_memory_and_never_parsed() -> None:
    pieces = [line().encode(), *[b"x" * (1 << 20)] * 100, b"\n", line().encode()]
    blocks = list(parse_files([TelemetryFile(Origin("game", "a.tsv", HOUR), pieces)]))
    quarantined = pl.concat([block.quarantined for block in blocks])
    assert quarantined.select("line_number", "reason").rows() == [(2, "line_too_long")]
    assert quarantined["raw_line"].item() == "x" * (64 << 10)
    assert pl.concat([block.rows for block in blocks])["line_number"].to_list() == [1, 3]


MESSY = [
    line(), line(time="x"), line(body=""), line(body="\t"), EXAMPLE + "\n", "\n", " ", "\t", "\r",
    "a", "\x00", "é", "'", "{", "2021-12-24T11:31:19Z", "\ufeff",
    line(time="2021-12-24T12:31:19+01:00"),
    "Category Timestamp ServiceName SessionId TransactionId BodyMessage\n",
]  # fmt: skip
NAMES = (b"category", b"timestamp", b"servicename", b"sessionid", b"transactionid", b"bodymessage")
HEADER = rb"[ \t]*" + rb"[ \t]+".join(NAMES) + rb"[ \t]*"
PARTS = st.one_of(st.sampled_from([part.encode() for part in MESSY]), st.binary(max_size=8))


@settings(max_examples=200, deadline=None)
@given(st.lists(PARTS, max_size=30), st.sampled_from(["a.tsv", "a.jsonl", "a.tsv.gz", "a.tsv.zst"]))
def test_every_line_of_any_bytes_is_accounted_for(parts: list[bytes], name: str) -> None:
    content = b"".join(parts)
    parsed = parse(content, name)
    numbers = sorted(
        parsed.rows["line_number"].to_list() + parsed.quarantined["line_number"].to_list()
    )
    assert len(numbers) == parsed.lines
    assert all(one < next_ for one, next_ in pairwise(numbers))
    if name.endswith("tsv"):
        lines = content.split(b"\n")
        counted = [n for n, text in enumerate(lines, 1) if _counts(text)]
        assert numbers == counted


def _counts(text: bytes) -> bool:
    while text.startswith(b"\xef\xbb\xbf"):
        text = text[3:]
    is_header = re.fullmatch(HEADER, text.removesuffix(b"\r").lower())
    return bool(text.strip()) and not is_header


@settings(max_examples=100, deadline=None)
@given(st.lists(PARTS, max_size=30), st.integers(1, 60), st.integers(1, 20))
def test_blocks_do_not_show_in_the_result(parts: list[bytes], block: int, piece: int) -> None:
    content = b"".join(parts)
    pieces = [content[at : at + piece] for at in range(0, len(content), piece)]
    origin = Origin("game", "game/2021/12/24/11/part-0.tsv", HOUR)
    blocks = list(parse_files([TelemetryFile(origin, pieces)], block))
    whole = parse(content)
    assert pl.concat([b.rows for b in blocks]).equals(whole.rows)
    assert pl.concat([b.quarantined for b in blocks]).equals(whole.quarantined)
