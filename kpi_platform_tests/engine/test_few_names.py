"""A source whose clients name too much is named, and no other."""

from datetime import UTC, datetime

import polars as pl

from kpi_platform.engine.few_names import few_names, known_platforms
from kpi_platform.schemas.findings import FINDINGS, findings_in
from kpi_platform.schemas.hours.hour_checks import CheckSpec
from kpi_platform.schemas.sources_file.platform_names import PlatformNames

SPEC = CheckSpec("few", "sessions", "", is_warning=True)
HOUR = datetime(2026, 1, 1, tzinfo=UTC)


def rows(**platforms: int) -> pl.DataFrame:
    named = [(s, f"p{n}", None) for s, count in platforms.items() for n in range(count)]
    schema = {"source": pl.String, "platform": pl.String, "device": pl.String}
    return pl.DataFrame(named, schema, orient="row")


def test_the_source_that_names_too_many_is_named() -> None:
    check = few_names(SPEC, HOUR, rows(honest=50, forged=51), ("platform", "device"))
    assert not check.passed
    assert check.figures["sources"] == "forged names 51 platforms"
    assert (check.figures["most_platforms"], check.figures["most_devices"]) == (51, 1)
    # What it tells is of that source: a studio's policy hears of it.
    (finding,) = findings_in(str(check.figures[FINDINGS]), "sessions", "few")
    assert (finding.source, finding.cause) == ("forged", "forged names 51 platforms.")


def test_every_source_that_names_too_many_has_a_finding() -> None:
    sources = {f"s{n}": 51 for n in range(7)}
    check = few_names(SPEC, HOUR, rows(**sources), ["platform"])
    findings = findings_in(str(check.figures[FINDINGS]), "sessions", "few")
    assert [finding.source for finding in findings] == list(sources)


def test_services_are_counted_too() -> None:
    sessions = pl.DataFrame({"source": ["s"] * 51, "service_name": [f"x{n}" for n in range(51)]})
    told = dict(few_names(SPEC, HOUR, sessions, ["service_name"]).figures)
    assert findings_in(str(told.pop(FINDINGS)), "sessions", "few")[0].source == "s"
    assert told == {"most_service_names": 51, "sources": "s names 51 services"}


def test_what_there_is_passes_and_so_does_an_hour_of_nothing() -> None:
    limited = ["platform", "device"]
    assert few_names(SPEC, HOUR, rows(honest=50, other=50), limited).passed
    empty = few_names(SPEC, HOUR, rows(), limited)
    assert (empty.passed, empty.figures["most_platforms"]) == (True, 0)


def test_platforms_that_are_not_known_are_named_with_their_source() -> None:
    named = ["PS5", "unknown", "\x1b[31mfridge", "fridge", "fridge"]
    sessions = pl.DataFrame({"source": ["s"] * 5, "platform": named})
    check = known_platforms(SPEC, HOUR, sessions, PlatformNames())
    assert not check.passed
    figures = dict(check.figures)
    assert findings_in(str(figures.pop(FINDINGS)), "sessions", "known")[0].source == "s"
    assert figures == {"rows_of_other": 3, "sources": "s: fridge, \\x1b[31mfridge"}
    listed = PlatformNames({"fridge": ["\x1b[31mfridge"]})
    assert known_platforms(SPEC, HOUR, sessions, listed).passed
    assert known_platforms(SPEC, HOUR, rows(honest=0), listed).passed
