"""Files of feeds, however they are written or damaged: every line is a row or in quarantine."""

import csv
import gzip
import io
import json
import time
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kpi_platform.arrivals.feeds.feed_files import FeedRead, TextForm
from kpi_platform.schemas.texts.body_text import MAX_DEPTH

Row = tuple[int, dict[str, str | None]]
Bad = tuple[int, str, str]


def pieces(data: bytes, size: int = 7) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def read(
    name: str, data: bytes, form: TextForm | None = None, size: int = 1 << 20
) -> tuple[FeedRead, list[Row], list[Bad]]:
    """The file's rows and bad lines, by line number."""
    feed = FeedRead(pieces(data, size), name, form or TextForm())
    rows: list[Row] = []
    bad: list[Bad] = []
    for good, useless in feed:
        rows += [(number, json.loads(text)) for text, number in good.iter_rows()]
        bad += [(number, reason, text) for reason, text, number in useless.iter_rows()]
    assert feed.lines == len(rows) + len(bad)
    return feed, rows, bad


def sales(count: int) -> list[str]:
    return ["at,who,note,price", *(f"2026-03-01,p{number},x{number},1" for number in range(count))]


def test_a_stray_quote_costs_its_own_line() -> None:
    lines = sales(1500)
    lines[12] = '2026-03-01,p11,"Deluxe,1'
    feed, rows, bad = read("a.csv", "\n".join(lines).encode())
    assert bad == [(13, "unclosed_quote", lines[12])]
    assert len(rows) == 1499 and feed.lines == 1500


@pytest.mark.parametrize("last", ["\n", ""])
def test_a_quote_that_is_open_at_the_end_swallows_nothing(last: str) -> None:
    lines = sales(30)
    lines[1] = '2026-03-01,p0,x,"open'
    _, rows, bad = read("a.csv", ("\n".join(lines) + last).encode())
    assert bad == [(2, "unclosed_quote", lines[1])]
    assert [number for number, _ in rows] == list(range(3, 32))


def test_two_stray_quotes_do_not_make_a_record_of_what_lies_between() -> None:
    lines = sales(40)
    lines[5], lines[20] = '2026-03-01,p4,"Deluxe,1', '2026-03-01,p19,"Gold,1'
    _, rows, bad = read("a.csv", "\n".join(lines).encode())
    assert [(number, reason) for number, reason, _ in bad] == [
        (6, "unclosed_quote"),
        (21, "unclosed_quote"),
    ]
    assert len(rows) == 38


def test_a_quoted_cell_may_hold_line_ends_separators_and_quotes() -> None:
    written = io.StringIO()
    notes = ["two\nlines", 'say "hi", you', "a\n\nb, c", "\n", "plain"]
    writer = csv.writer(written)
    writer.writerows([("at", "who", "note", "price"), *(("t", "p", note, "1") for note in notes)])
    _, rows, bad = read("a.csv", written.getvalue().encode())
    assert not bad
    assert [row["note"] for _, row in rows] == notes


def test_a_line_with_text_behind_its_quote_is_of_no_use_alone() -> None:
    lines = [*sales(2), '2026-03-01,p,"a"b,1', "2026-03-01,p,last,1"]
    _, rows, bad = read("a.csv", "\n".join(lines).encode())
    assert bad == [(4, "bad_body", lines[3])] and len(rows) == 3


@pytest.mark.parametrize(
    "header",
    [
        b"at,who,price,price",
        "at,who,Größe,price".encode("latin-1"),
        b'at,"who,price,cur',
        b"at,who,a\0b,price",
    ],
)
def test_a_header_of_no_use_refuses_its_file_and_loses_no_line(header: bytes) -> None:
    data = header + b"\n2026,p1,1,2\n2026,p2,1,2\n"
    feed, rows, bad = read("a.csv", data)
    assert not rows and feed.unreadable
    assert [number for number, *_ in bad] == [1, 2, 3]
    assert [reason for _, reason, _ in bad][1:] == ["wrong_header", "wrong_header"]


def test_columns_without_a_name_are_told_by_their_place() -> None:
    _, rows, _ = read("a.csv", b"at,who,,\n2026,p1,,\n")
    assert rows == [(2, {"at": "2026", "who": "p1", "column 3": None, "column 4": None})]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_file_that_says_its_encoding_is_read_in_it(encoding: str, name: str) -> None:
    text = "at,who\n2026,Größe\n" if name == "a.csv" else '{"at":"2026","who":"Größe"}\n'
    _, rows, bad = read(name, text.encode(encoding), TextForm("latin-1"), size=3)
    assert [row for _, row in rows] == [{"at": "2026", "who": "Größe"}] and not bad


def test_half_a_surrogate_pair_is_mended_and_a_number_keeps_its_text() -> None:
    line = (
        r'{"nick":"caf\ud83d","ok":"\ud83d\ude00","v":1.10,"id":123456789012345678901,"\udc00":1}'
    )
    _, rows, bad = read("a.jsonl", line.encode())
    assert not bad
    assert rows[0][1] == {
        "nick": "caf\ufffd",
        "ok": "\U0001f600",
        "v": "1.10",
        "id": "123456789012345678901",
        "\ufffd": "1",
    }


def test_json_nests_as_deep_as_bodies_may() -> None:
    def nested(depth: int) -> str:
        return '{"a":' * depth + "1" + "}" * depth

    _, rows, bad = read("a.jsonl", f"{nested(MAX_DEPTH)}\n{nested(MAX_DEPTH + 1)}\n".encode())
    assert [number for number, _ in rows] == [1]
    assert [(number, reason) for number, reason, _ in bad] == [(2, "bad_body")]


def test_no_cut_of_a_gz_counts_its_cut_record_as_good() -> None:
    lines = sales(12)
    whole = "\n".join(lines).encode() + b"\n"
    _, expected, _ = read("a.csv", whole)
    packed = gzip.compress(whole)
    for length in range(1, len(packed)):
        feed, rows, _ = read("a.csv.gz", packed[:length])
        assert feed.truncated or feed.unreadable
        assert rows == expected[: len(rows)]


def test_a_line_that_is_too_long_is_bounded_and_costs_linear_time() -> None:
    long = b"x" * (40 << 20)
    # As it was, each block copied all that came before: 640 blocks, 13 GB.
    _, rows, bad = read("a.csv", b"at,who\n" + long + b"\n1,2\n" + long, size=64 << 10)
    assert rows == [(3, {"at": "1", "who": "2"})]
    assert [(number, reason, len(text)) for number, reason, text in bad] == [
        (2, "line_too_long", 64 << 10),
        (4, "line_too_long", 64 << 10),
    ]


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def test_a_value_that_many_rows_use_is_judged_before_it_is_copied() -> None:
    values = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), ["v" * 50_000])
    nested = pa.ListArray.from_arrays(pa.array(range(20_001), pa.int32()), values)
    for column in (values, nested):
        data = parquet(pa.table({"h": ["t"] * 20_000, "a": column}))
        before = pa.total_allocated_bytes()
        feed, rows, bad = read("a.parquet", data)
        assert len(data) < 2_000 and feed.unreadable and not rows and not bad
        assert pa.total_allocated_bytes() - before < 1 << 20


def test_a_file_of_rows_without_values_is_bounded_too() -> None:
    feed, _, _ = read("a.parquet", parquet(pa.table({"nothing at all": pa.nulls(9_000_000)})))
    assert feed.unreadable


def test_a_row_that_is_too_long_goes_alone() -> None:
    table = pa.table({"a": ["x", "y" * (2 << 20), "z"]})
    _, rows, bad = read("a.parquet", parquet(table))
    assert rows == [(1, {"a": "x"}), (3, {"a": "z"})]
    assert [(number, reason) for number, reason, _ in bad] == [(2, "line_too_long")]


COLUMNS = {
    "map": pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
    "duration": pa.array([5_000_000, None], pa.duration("us")),
    "durations": pa.array([[5], None], pa.list_(pa.duration("s"))),
    "bytes": pa.array([b"\xff", None]),
    "nested bytes": pa.array([{"b": b"\xff"}, None]),
    "time": pa.array([1, None], pa.time64("us")),
    "decimal": pa.array(["1.50", None]).cast(pa.decimal128(38, 2)),
    "nothing": pa.nulls(2),
    "no fields": pa.array([{}, None], pa.struct([])),
    "far away": pa.array([2**62, 0], pa.timestamp("ms", "UTC")),
    "far day": pa.array([2**31 - 1, 0], pa.date32()),
    "half": pa.array([1.5, None], pa.float16()),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_of_any_type_costs_at_most_its_rows(name: str) -> None:
    try:
        data = parquet(pa.table({"at": ["1", "2"], "*": ["s", "s"], name: COLUMNS[name]}))
    except pa.ArrowNotImplementedError:
        pytest.skip("no Parquet file can hold it")
    feed, rows, bad = read("a.parquet", data)
    assert feed.unreadable or len(rows) + len(bad) == 2
    assert all(str(row["at"]) in "12" and row["*"] == "s" for _, row in rows)


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1" + b"\0" * 100 + b"PAR1", b"\xff\xfe"])
@pytest.mark.parametrize("name", ["a.parquet", "a.csv.gz", "a.jsonl.zst", "a.csv", "a.jsonl"])
def test_whatever_bytes_a_file_holds_reading_ends(name: str, data: bytes) -> None:
    feed, rows, _ = read(name, data)
    assert not rows
    assert feed.unreadable or not name.endswith("parquet")


CELL = st.text(alphabet='ab",\n é', max_size=3)
LINE = st.text(alphabet='ab",é', max_size=8)


@settings(deadline=None)
@given(st.lists(LINE, max_size=8), st.integers(1, 9))
@example(['a,"b,c', "a,b,c", 'a,"b,c'], 9)
def test_every_physical_line_is_accounted_for(lines: list[str], size: int) -> None:
    """Against the slow way: of each line alone, is it a record of three cells?"""
    data = "\n".join(["x,y,z", *lines, ""]).encode()
    _, rows, bad = read("a.csv", data, size=size)
    bad_numbers = {number for number, *_ in bad}
    assert all(text == lines[number - 2] for number, _, text in bad)
    spanned = set()
    previous = 1
    for number, row in sorted(rows):
        own = alone(lines[number - 2])
        if own is not None and list(row.values()) == [cell or None for cell in own]:
            spanned.add(number)
        else:
            # A record over lines: all from its beginning on, and together they give its cells.
            start = max(
                [previous, *(bad_number for bad_number in bad_numbers if bad_number < number)]
            )
            texts = [lines[place - 2] for place in range(start + 1, number + 1)]
            whole = next(csv.reader(io.StringIO("\n".join(texts).strip("\n")), strict=True))
            assert [cell or None for cell in whole] == list(row.values())
            spanned |= set(range(start + 1, number + 1))
        previous = number
    counted = {place for place, text in enumerate(lines, start=2) if text.strip()}
    repeated = {place for place, text in enumerate(lines, start=2) if text == "x,y,z"}
    assert counted - repeated <= spanned | bad_numbers
    assert not bad_numbers & spanned


def alone(line: str) -> list[str] | None:
    try:
        cells = next(csv.reader([line], strict=True), [])
    except csv.Error:
        return None
    return cells if len(cells) == 3 else None


@settings(deadline=None)
@given(st.lists(st.tuples(CELL, CELL, CELL, CELL), max_size=6))
def test_what_a_csv_writer_wrote_is_never_misread(records: list[tuple[str, ...]]) -> None:
    """A record may be refused, where its text looks like records; it is never another one."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([("w", "x", "y", "z"), *records])
    _, rows, _ = read("a.csv", written.getvalue().encode())
    expected = [[cell or None for cell in record] for record in records]
    for _, row in rows:
        assert list(row.values()) in expected


def test_a_parquet_file_of_very_many_columns_takes_time_as_its_columns_do() -> None:
    content = io.BytesIO()
    pq.write_table(pa.table({f"c{number}": [1] for number in range(1500)}), content)
    started = time.process_time()
    (pair,) = FeedRead([content.getvalue()], "a.parquet")
    # In proportion to their square it took minutes.
    assert time.process_time() - started < 10
    assert len(json.loads(pair[0]["row"][0])) == 1500
