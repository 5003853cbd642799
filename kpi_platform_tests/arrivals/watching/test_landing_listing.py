"""What a full listing of the landing zone tells, from lists of files."""

from datetime import UTC, datetime, timedelta
from functools import partial

from kpi_platform.arrivals.watching.arrivals_watch import (
    hour_fingerprint,
    hours_due,
    split_ranges,
)
from kpi_platform.arrivals.watching.landing_listing import (
    Listing,
    judge_listing,
    unnamed_folders,
    unread_hours,
    why_nothing_comes,
)
from kpi_platform.schemas.sources_file.sources import parse_sources
from kpi_platform.schemas.texts.file_names import why_no_telemetry
from kpi_platform.storage.landing.landing import LandingFile

NOW = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)
NEWEST = datetime(2026, 3, 10, 11, tzinfo=UTC)
START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
SOURCES = parse_sources(
    """
studios:
  - key: north
    games:
      - key: rails
        sources: [{key: rails, telemetry: rails-folder}]
""",
    "sources.yaml",
)


def judge(*paths: str) -> Listing:
    files = (LandingFile(path, 1, "e", NOW) for path in paths)
    return judge_listing(
        files,
        lambda file: why_no_telemetry(file.path),
        partial(hour_fingerprint, sources=SOURCES),
        START,
        NOW,
    )


def test_a_listing_names_what_no_hour_reads() -> None:
    paths = {
        "rails-folder/2026/03/10/11/a.tsv": "",
        "rails-folder/2026/03/10/12/a.tsv.gz": "",
        "rails-folder/2026/02/28/23/a.tsv": "before the first partition",
        "rails-folder/2026/13/45/99/a.tsv": "no valid hour",
        "rails-folder/a.tsv": "no valid hour",
        "a.tsv": "no valid hour",
        "rails-folder/2026/03/10/13/a.tsv": "in the future",
        "rails-folder/2026/03/10/11/a.csv": "unknown ending",
        "rails-folder/2026/03/10/11/.a.tsv": "hidden",
        "rails-folder/2026/03/10/11/_temporary/0/a.tsv": "hidden",
        "rails-folder/2026/03/10/11/_SUCCESS": "hidden",
        "_staging/2026/03/10/11/a.tsv": "hidden",
        "rails-folder/2026/03/10/11/a.tsv.tmp": "unfinished",
        "rails-folder/2026/03/10/11/.part-0.inprogress.1": "hidden",
        "rails-folder/2026/03/10/11/part-0.inprogress": "unfinished",
        "processing-failed/2026/03/10/11/a": "no data",
        "lost+found (no access)": "no data",
        "rails-folder/2026/03/10/10 (no access)": "no access",
        "rails-folder/2026/03/10/11/part-00000": "",
        "rails-folder/2026/03/10/11/B.TSV.GZ": "",
    }
    listing = judge(*paths)
    assert dict(listing.left) == {path: reason for path, reason in paths.items() if reason}
    assert list(listing.hours) == [NEWEST]
    assert len(listing.out_of_place) == 7
    assert listing.figures()["no_valid_hour"] == 3
    assert "rails-folder/2026/13/45/99/a.tsv (no valid hour)" in str(listing.figures()["files"])


def test_hidden_files_are_named_last_and_are_not_out_of_place() -> None:
    listing = judge(*(f"rails-folder/.{number}.tsv" for number in range(60)), "z.tsv")
    assert listing.out_of_place == ["z.tsv"]
    named = str(listing.figures()["files"]).splitlines()
    assert (named[0], len(named)) == ("z.tsv (no valid hour)", 50)


def test_skipped_hours_are_unread_and_those_whose_files_are_gone_are_not() -> None:
    window = [NEWEST - back * HOUR for back in range(5, -1, -1)]
    read = {window[0]: "", window[2]: "fingerprint of files now gone", window[4]: ""}
    # The newest hour waits for its run; the hours before recorded ones were skipped.
    assert unread_hours(judge(), read, read, window) == [window[1], window[3]]


def test_after_an_outage_quiet_hours_are_asked_for_with_the_others() -> None:
    """Sixty hours that nobody ran, with files in all of them but one, and none before the first."""
    due = hours_due(START, NOW)
    quiet = NEWEST - 30 * HOUR
    ran = {hour: "" for hour in due[:-60] if hour > START + HOUR}
    files = [hour for hour in due[-60:] if hour != quiet]
    listing = judge(*(f"rails-folder/{hour:%Y/%m/%d/%H}/a.tsv" for hour in files))

    unread = unread_hours(listing, ran, ran, due)

    assert unread == [START, START + HOUR, *due[-60:]]
    assert split_ranges(unread, 24 * HOUR) == [
        (START, START + HOUR),
        *((first, min(first + 23 * HOUR, NEWEST)) for first in due[-60::24]),
    ]
    # Hours that only a warehouse was captured in have run.
    captured = {START, START + HOUR}
    assert unread_hours(listing, ran, {*ran, *captured}, due) == due[-60:]
    # A landing zone and a lake without anything ask for nothing.
    assert unread_hours(judge(), {}, {}, due) == []


def test_old_hours_are_unread_until_what_was_read_is_what_is_there() -> None:
    listing = judge("rails-folder/2026/03/01/00/a.tsv")
    assert unread_hours(listing, {}, {}, []) == [START]
    assert unread_hours(listing, {START: "of other files"}, {START}, []) == [START]
    assert unread_hours(listing, listing.hours, {START}, []) == []


def test_folders_that_no_source_names() -> None:
    assert unnamed_folders(["rails-folder", "stranger"], SOURCES) == ["stranger"]


def test_long_ranges_are_cut() -> None:
    hours = [NEWEST + step * HOUR for step in (0, 1, 2, 3, 4, 9)]
    assert split_ranges(hours, 2 * HOUR) == [
        (hours[0], hours[1]),
        (hours[2], hours[3]),
        (hours[4], hours[4]),
        (hours[5], hours[5]),
    ]


def test_a_place_without_files_and_a_folder_that_is_not_there_are_said() -> None:
    named = SOURCES.folders()
    assert why_nothing_comes("s3://b/x", named.values(), SOURCES) == []
    empty = ["KPI_LANDING_URI: s3://b/x: holds no folder with files: is it the right place?"]
    assert why_nothing_comes("s3://b/x", [], SOURCES) == empty
    assert why_nothing_comes("s3://b/x", [], parse_sources("", "none")) == empty
    assert why_nothing_comes("s3://b/x", ["stranger"], SOURCES) == [
        f"source {key}: no folder {folder} in s3://b/x (yet)"
        for key, folder in sorted(named.items())
    ]
    only_warehouses = parse_sources(
        "studios: [{key: a, warehouse: {kind: duckdb, path: x}, games: [{key: g, sources: "
        "[{key: k, schema: s}]}]}]",
        "x",
    )
    assert why_nothing_comes("s3://b/x", [], only_warehouses) == []
