"""Files of any name, compression, cut and join are read as a slow reader reads them, none lost."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime

import polars as pl
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kpi_platform.arrivals.telemetry.parsing.json_objects import split_objects
from kpi_platform.arrivals.telemetry.parsing.parse import (
    FileCounts,
    Origin,
    ParsedPart,
    TelemetryFile,
    parse_files,
)
from kpi_platform_tests.arrivals.telemetry.slow_reader import read_text

HOUR = datetime(2026, 1, 1, 5, tzinfo=UTC)
TIMES = st.sampled_from(
    ["2026-01-01T05:00:00.000+0000", "2026-01-01T05:00:00Z", "2026-01-01 06:00:00.5+01:00",
     "2026-01-02T06:00:00.000Z", "2025-12-02T04:59:59Z", "2026-02-30T00:00:00Z", "", "now"]
)  # fmt: skip
WORDS = st.sampled_from(["App", "x^y", "é", "", "a b", "{", "}{", "\0", "NaN", "null", "🎮", "-0"])
NUMBERS = st.sampled_from(["1", "-7", " 3 ", "", "x", "9223372036854775808", "007", "1.0"])
BODIES = st.sampled_from(["{'Name': 'A'}", '{"Name": "A"}', "", "x", '{"a": {"b": [1.10]}}'])
TABULAR = st.tuples(WORDS, TIMES, WORDS, WORDS, NUMBERS, BODIES).map("\t".join)
BLANK = TABULAR.map(lambda line: line.replace("\t", " "))
HEADER = st.just("Category\tTimestamp\tServiceName\tSessionId\tTransactionId\tBodyMessage")
TEXT = st.one_of(TABULAR, BLANK, HEADER, WORDS).map(str.encode)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\n\xef\xbb\xbf", b"\n\n", b"\n \t\n", b"\n\xff"])
JSON_BODIES = st.dictionaries(WORDS, WORDS | st.integers() | st.none(), max_size=3)


def _event(*fields: object) -> str:
    names = ("Category", "Timestamp", "ServiceName", "SessionId", "TransactionId", "BodyMessage")
    return json.dumps(dict(zip(names, fields, strict=True)), ensure_ascii=False)


OBJECTS = st.builds(_event, WORDS, TIMES, WORDS, WORDS, NUMBERS | st.none(), JSON_BODIES | BODIES)
JSON_ENDS = st.sampled_from([b"\n", b"\r\n", b"", b"  ", b"\n\n", b"\n\xef\xbb\xbf"])


def _joined(lines: st.SearchStrategy[bytes], ends: st.SearchStrategy[bytes]) -> st.SearchStrategy:
    return st.lists(st.tuples(lines, ends).map(b"".join), max_size=12).map(b"".join)


TABULAR_TEXTS = _joined(TEXT, ENDS)
JSON_TEXTS = _joined(OBJECTS.map(str.encode), JSON_ENDS)
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".GZ": gzip.compress,
    ".zst": zstandard.compress,
}


def parse(
    *files: tuple[bytes, str], piece: int = 1 << 20, block: int = 1 << 24
) -> list[ParsedPart]:
    return list(
        parse_files(
            [
                TelemetryFile(
                    Origin("game", name, HOUR),
                    [content[at : at + piece] for at in range(0, len(content), piece)],
                )
                for content, name in files
            ],
            block,
        )
    )


def lines_of(parts: list[ParsedPart], name: str) -> list[tuple[int, str | tuple[str, ...]]]:
    """The lines of a file as `read_text` gives them."""
    found: list[tuple[int, str | tuple[str, ...]]] = []
    of_file = pl.col("file_name") == name
    for part in parts:
        rows = part.rows.filter(of_file).select(
            "line_number", "category", "service_name", "title_session_id",
            pl.col("title_transaction_id").cast(pl.String), "body_message",
        )  # fmt: skip
        found += [(number, fields) for number, *fields_ in rows.rows() if (fields := (*fields_,))]
        found += part.quarantined.filter(of_file).select("line_number", "reason").rows()
    return sorted(found, key=lambda line: line[0])


def counts_of(parts: list[ParsedPart]) -> dict[int, FileCounts]:
    counted: dict[int, FileCounts] = {}
    for part in parts:
        for counts in part.counts:
            before = counted.get(counts.place)
            counted[counts.place] = counts if before is None else before.plus(counts)
    return counted


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(
                st.tuples(TABULAR_TEXTS, st.just(".tsv")), st.tuples(JSON_TEXTS, st.just(".jsonl"))
            ),
            st.sampled_from(sorted(PACKERS)),
        ),
        min_size=1,
        max_size=5,
    ),
    st.integers(1, 200),
    st.integers(1, 400),
)
def test_files_together_are_read_as_a_slow_reader_reads_each(
    drawn: list[tuple[tuple[bytes, str], str]], piece: int, block: int
) -> None:
    files = [
        (PACKERS[packed](text), f"{n}{ending}{packed}")
        for n, ((text, ending), packed) in enumerate(drawn)
    ]
    parts = parse(*files, piece=piece, block=block)
    for place, (((text, ending), _), (_, name)) in enumerate(zip(drawn, files, strict=True)):
        expected = read_text(text, ending == ".jsonl", HOUR)
        assert lines_of(parts, name) == expected
        rows = sum(isinstance(judged, tuple) for _, judged in expected)
        assert counts_of(parts)[place] == FileCounts(place, rows, len(expected) - rows)


@settings(max_examples=60, deadline=None)
@given(TABULAR_TEXTS, st.sampled_from([".gz", ".zst"]), st.floats(0, 1), st.integers(1, 99))
def test_cut_anywhere_whole_lines_are_kept_and_the_cut_one_is_counted(
    text: bytes, packed: str, share: float, frame: int
) -> None:
    members = [PACKERS[packed](text[at : at + frame]) for at in range(0, len(text), frame)]
    content = b"".join(members)
    kept = content[: int(len(content) * share)]
    parts = parse((kept, f"a.tsv{packed}"))
    lines, whole = lines_of(parts, f"a.tsv{packed}"), read_text(text, False, HOUR)
    (counts,) = counts_of(parts).values()
    assert counts.error == ""
    *sound, last = lines or [(0, "")]
    assert sound == whole[: len(sound)]
    if counts.truncated and last != (0, "") and last not in whole:
        assert last[1] in ("wrong_field_count", "not_utf8")
    ends = [sum(map(len, members[:n])) for n in range(len(members) + 1)]
    if len(kept) in ends:
        # Nothing says that a member is missing.
        assert not counts.truncated
        assert lines == read_text(text[: ends.index(len(kept)) * frame], False, HOUR)
    else:
        assert counts.truncated


NAMES = st.text(st.characters(exclude_characters="\0/"), max_size=5)
ENDINGS = ["", ".tsv", ".TSV.gz", ".tsv.zst", ".jsonl", ".jsonl.GZ", ".zst", ".gz", ".log"]
STARTS = [b"", b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd", b"x\x9c", b"x^", b"{", b"\xff\xfe", b"\0"]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            NAMES,
            st.sampled_from(ENDINGS),
            st.sampled_from(STARTS),
            st.lists(st.binary(max_size=20) | TEXT | OBJECTS.map(str.encode), max_size=5),
        ),
        min_size=1,
        max_size=4,
    ),
    st.integers(1, 100),
)
@example([("", ".gz", b"\x1f\x8b\x08\0", [])], 1)
@example([("", ".zst", b"\x28\xb5\x2f\xfd", [b"\x20\x01\x01\0\0"])], 1)
def test_lines_are_rows_and_quarantined_whatever_the_bytes(
    drawn: list[tuple[str, str, bytes, list[bytes]]], piece: int
) -> None:
    files = [
        (start + b"\n".join(parts), f"{n}{name}{ending}")
        for n, (name, ending, start, parts) in enumerate(drawn)
    ]
    parts = parse(*files, piece=piece)
    counted = counts_of(parts)
    assert sorted(counted) == list(range(len(files)))
    for place, (_, name) in enumerate(files):
        numbers = [number for number, _ in lines_of(parts, name)]
        assert len(set(numbers)) == len(numbers) == counted[place].lines
        assert counted[place].error == ""
        assert not (counted[place].unreadable and numbers)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(['{"a":1}', "{}", "}", "{", '"', "\\", " ", "\n", '"x"', '{"', ":", "}{"]),
        max_size=30,
    ),
    st.integers(1, 9),
)
def test_objects_are_split_alike_however_they_come_in_pieces(parts: list[str], piece: int) -> None:
    text = "".join(parts).encode()
    pieces = [text[at : at + piece] for at in range(0, len(text), piece)]
    split = b"".join(split_objects(pieces))
    assert split == b"".join(split_objects([text]))
    # Nothing but line ends is added, and only between objects.
    assert split.replace(b"\n", b"") == text.replace(b"\n", b"")
    assert split.count(b"\n") >= text.count(b"\n")
