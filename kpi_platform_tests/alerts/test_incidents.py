"""Incidents open once, grow, and are resolved once, however passes are cut, left out or repeated.

The slow reference keeps, of every check and hour, whether it is wrong now.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from kpi_platform.alerts.finders import found_in_checks
from kpi_platform.alerts.finders.found_in_checks import look_at_checks
from kpi_platform.alerts.incident_rows import frame_of, hours_in_text, hours_text, incidents_of
from kpi_platform.alerts.incident_words import mend
from kpi_platform.alerts.incidents import Incident, Look, acknowledge, fold
from kpi_platform.schemas.findings import FINDINGS, Finding, findings_in, findings_text
from kpi_platform.schemas.hours.hour_ranges import hours_within, ranges_of
from kpi_platform.schemas.tables import TABLES

START = datetime(2026, 3, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
NOW = START + timedelta(days=2)
# A check of an hour: its name, the hour's number, and the sources found wrong.
Event = tuple[str, int, frozenset[str]]
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.integers(0, 5),
        st.frozensets(st.sampled_from(["x", "y"])),
    ),
    max_size=30,
)


def look(event: Event) -> Look:
    check, number, sources = event
    hour = START + number * HOUR
    findings = tuple(
        Finding("check_failed", "events", f"{check} failed", check, source, hours=(hour,))
        for source in sorted(sources)
    )
    return Look(findings, asset="events", check=check, hours=tuple(ranges_of([hour])))


class Passes:
    """What is in the table after passes, and how often each incident was opened or resolved."""

    def __init__(self) -> None:
        self.known: dict[str, Incident] = {}
        self.at = NOW
        self.opened: dict[str, int] = defaultdict(int)
        self.resolved: dict[str, int] = defaultdict(int)

    def run(self, looks: Sequence[Look], after: timedelta = HOUR) -> list[Incident]:
        self.at += after
        changed = fold(list(self.known.values()), looks, self.at)
        for incident in changed:
            before = self.known.get(incident.incident_id)
            self.opened[incident.incident_id] += before is None
            was_open = before is None or before.is_open
            self.resolved[incident.incident_id] += was_open and not incident.is_open
        # Every incident goes through the table.
        stored = incidents_of(frame_of(changed, {})) if changed else []
        self.known |= {incident.incident_id: incident for incident in stored}
        return changed

    def wrong(self) -> set[tuple[str, str, datetime]]:
        return {
            (i.key.check, i.key.source, hour)
            for i in self.known.values()
            for hour in hours_within(i.open_hours)
        }


@settings(deadline=None, max_examples=60)
@given(EVENTS, st.lists(st.integers(0, 30), max_size=6), st.booleans())
def test_what_is_open_is_what_is_wrong_however_passes_are_cut(
    events: list[Event], cuts: list[int], is_repeated: bool
) -> None:
    passes = Passes()
    ends = sorted({*(min(cut, len(events)) for cut in cuts), len(events)})
    first = 0
    for end in ends:
        looks = [look(event) for event in events[first:end]]
        passes.run(looks, timedelta(minutes=1))
        if is_repeated:
            repeated = passes.run(looks, timedelta(minutes=1))
            # What a pass saw twice it does not tell twice, nor does it reopen what it closed.
            assert [i for i in repeated if i.opened_at == passes.at] == []
        first = end
    state: dict[tuple[str, int], frozenset[str]] = {(c, n): s for c, n, s in events}
    expected = {(c, s, START + n * HOUR) for (c, n), found in state.items() for s in found}
    assert passes.wrong() == expected
    assert set(passes.opened.values()) <= {1}
    assert set(passes.resolved.values()) <= {0, 1}
    open_keys = [i.key for i in passes.known.values() if i.is_open]
    assert len(open_keys) == len(set(open_keys))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.frozensets(st.sampled_from(["x", "y", "z"])), min_size=1, max_size=12))
def test_what_is_looked_at_whole_is_open_as_long_as_it_is_found(
    found: list[frozenset[str]],
) -> None:
    passes = Passes()
    for sources in found:
        findings = [Finding("source_silent", "hour_ledger", "silent", "", s) for s in sources]
        passes.run([Look(tuple(findings), "source_silent")])
        assert {i.key.source for i in passes.known.values() if i.is_open} == sources
    starts = sum(
        len(now - before) for before, now in zip([frozenset(), *found], found, strict=False)
    )
    assert len(passes.known) == starts


def test_a_thousand_hours_of_one_cause_are_one_incident_with_ranges() -> None:
    passes = Passes()
    hours = tuple(START + n * HOUR for n in range(1000))
    finding = Finding("hour_failed", "hour_ledger", "broken", severity="error", hours=hours)
    (opened,) = passes.run([Look((finding,), "hour_failed")])
    assert hours_text(opened.hours) == "2026-03-10-00:00...2026-04-20-15:00"
    half = replace(finding, hours=hours[500:])
    (grown,) = passes.run([Look((half,), "hour_failed")])
    assert (grown.is_open, hours_within(grown.open_hours)) == (True, list(hours[500:]))
    assert passes.run([Look((half,), "hour_failed")], timedelta(minutes=1)) == []
    (resolved,) = passes.run([Look((), "hour_failed")])
    assert (resolved.closed_by, hours_within(resolved.hours)) == ("itself", list(hours))


def test_nobody_who_looks_elsewhere_resolves_anything() -> None:
    passes = Passes()
    passes.run([look(("a", 1, frozenset("x")))])
    assert passes.run([look(("b", 1, frozenset())), look(("a", 2, frozenset()))]) == []
    assert passes.run([]) == []


def test_a_fact_closes_when_acknowledged_or_by_its_age_and_is_not_told_again() -> None:
    for by in ("ack", "age"):
        passes = Passes()
        (fact,) = passes.run([look(("a", 1, frozenset("x")))])
        if by == "ack":
            passes.known[fact.incident_id] = acknowledge(fact, passes.at)
        else:
            assert passes.run([], timedelta(days=6)) == []
            passes.run([], timedelta(days=1))
        assert passes.known[fact.incident_id].closed_by == by
        # The hour is run again and is as it was: nothing new.
        assert passes.run([look(("a", 1, frozenset("x")))]) == []
        # Another hour is another incident.
        (again,) = passes.run([look(("a", 2, frozenset("x")))])
        assert (again.opened_at, hours_within(again.hours)) == (passes.at, [START + 2 * HOUR])


def test_what_can_become_right_stays_open_when_acknowledged() -> None:
    passes = Passes()
    silent = Look((Finding("source_silent", "hour_ledger", "silent", "", "x"),), "source_silent")
    (opened,) = passes.run([silent])
    after = acknowledge(opened, passes.at)
    assert (after.is_open, after.acknowledged_at) == (True, passes.at)
    assert acknowledge(after, passes.at + HOUR) == after


def test_a_restatement_is_told_once() -> None:
    passes = Passes()
    finding = Finding("figure_restated", "kpi_restatements", "dau changed", "2026-03-10")
    (told,) = passes.run([Look((finding,), "figure_restated")])
    assert (told.opened_at, told.resolved_at) == (passes.at, passes.at)
    assert passes.run([]) == []


def test_two_looks_that_find_one_source_silent_are_one_incident() -> None:
    passes = Passes()
    looks = [
        Look(
            (Finding("source_silent", "hour_ledger", "late", check, "x"),),
            asset="hour_ledger",
            check=check,
        )
        for check in ("newest_hour_is_recent", "sources_send_their_usual_volume")
    ]
    assert len(passes.run(looks)) == 1


@settings(deadline=None)
@given(st.lists(st.integers(0, 300), max_size=40))
def test_hours_are_read_as_they_were_written(numbers: list[int]) -> None:
    ranges = ranges_of(START + n * HOUR for n in numbers)
    assert list(hours_in_text(hours_text(ranges))) == ranges


def test_findings_of_a_check_are_read_as_they_were_named() -> None:
    hostile = Finding(
        "attribute_silent",
        "cleaned_events",
        'Version\n<!channel> "gone"',
        "c",
        "s\t'",
        "error",
        "m",
        (START,),
    )
    assert findings_in(findings_text([hostile]), "cleaned_events", "c") == [hostile]


OWN, ALL_HOURS = "every_file_is_still_there", "no_hour_holds_files_that_are_gone"


def held(source: str, *numbers: int, asset: str = "raw_telemetry", mend: str = "") -> list[Finding]:
    """What a listing says of a source that lost files in these hours: each hour for itself."""
    return [
        Finding(
            "files_held", asset, f"gone in {n}", source=source, mend=mend, hours=(START + n * HOUR,)
        )
        for n in numbers
    ]


def listed(instance: dg.DagsterInstance, found: Sequence[Finding]) -> None:
    """A listing of all hours finds this."""
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey("raw_telemetry"),
            check_name=ALL_HOURS,
            passed=not found,
            metadata={"hours": len(found), FINDINGS: findings_text(found)},
        )
    )


def ran(instance: dg.DagsterInstance, number: int, *sources: str) -> None:
    """An hour runs and finds that files of these sources are gone."""
    found = [finding for source in sources for finding in held(source, number)]
    evaluated(instance, OWN, {number: found}, passed=not found)


def evaluated(
    instance: dg.DagsterInstance,
    check: str,
    found: Mapping[int, Sequence[Finding]],
    *,
    passed: bool = False,
) -> None:
    """Hours run, and a check of theirs names these findings."""
    evaluations = [
        dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey("raw_telemetry"),
            check_name=check,
            passed=passed,
            metadata={FINDINGS: findings_text(of_hour)},
            partition=f"{START + number * HOUR:%Y-%m-%d-%H:%M}",
        )
        for number, of_hour in found.items()
    ]

    @dg.op
    def evaluate(context: dg.OpExecutionContext) -> None:
        for evaluation in evaluations:
            context.log_event(evaluation)  # type: ignore[arg-type]

    @dg.job
    def evaluating() -> None:
        evaluate()

    evaluating.execute_in_process(instance=instance)


class Checked(Passes):
    """Passes that look at what the checks of an instance found since the one before."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        super().__init__()
        self.instance, self.mark = instance, 0

    def open(self) -> set[tuple[str, int]]:
        """Source and hour of all that is open after another pass."""
        found = look_at_checks(self.instance, {}, self.mark, ())
        self.run(found.looks)
        self.mark = found.mark
        return {(source, (hour - START) // HOUR) for _, source, hour in self.wrong()}


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as found:
        yield found


def test_a_look_at_all_hours_says_what_the_hours_own_check_says(
    instance: dg.DagsterInstance,
) -> None:
    passes = Checked(instance)
    ran(instance, 0, "a")
    assert passes.open() == {("a", 0)}
    (known,) = passes.known.values()
    listed(instance, [*held("a", 0, 1, 5), *held("b", 0, asset="raw_console_feed")])
    assert passes.open() == {("a", 0), ("a", 1), ("a", 5), ("b", 0)}
    after = passes.known.values()
    assert {(i.key.asset, i.key.check, i.key.source) for i in after} == {
        ("raw_telemetry", OWN, "a"),
        ("raw_console_feed", OWN, "b"),
    }
    (of_a,) = [i for i in after if i.key.source == "a"]
    assert of_a.incident_id == known.incident_id
    assert of_a.hours == tuple(ranges_of(START + n * HOUR for n in (0, 1, 5)))
    # Of hours that a listing does not name it says nothing.
    listed(instance, [])
    assert passes.open() == {("a", 0), ("a", 1), ("a", 5), ("b", 0)}


def test_two_sources_that_lost_files_of_one_hour_are_open_until_each_is_right(
    instance: dg.DagsterInstance,
) -> None:
    passes = Checked(instance)
    listed(instance, [*held("a", 0, 1), *held("b", 0, 1)])
    both = {("a", 0), ("a", 1), ("b", 0), ("b", 1)}
    assert passes.open() == both
    for _ in range(2):
        listed(instance, [*held("a", 0, 1), *held("b", 0, 1)])
        assert passes.open() == both
    listed(instance, [*held("a", 0), *held("b", 0, 1)])
    assert passes.open() == both - {("a", 1)}
    ran(instance, 0, "b")
    assert passes.open() == {("b", 0), ("b", 1)}
    ran(instance, 0)
    ran(instance, 1)
    assert passes.open() == set()
    # Each was opened once and resolved once.
    assert {i.key.source: i.closed_by for i in passes.known.values()} == {
        "a": "itself",
        "b": "itself",
    }
    assert len(passes.known) == 2


def test_hours_beyond_those_that_are_read_go_with_every_source_of_the_last(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(found_in_checks, "_MOST_READ", 2)
    passes = Checked(instance)
    for number in range(5):
        ran(instance, number, "a", *(["b"] if number < 4 else []))
    assert passes.open() == {("a", n) for n in range(5)} | {("b", n) for n in range(4)}


def test_a_listing_says_the_newest_cause_and_every_command(instance: dg.DagsterInstance) -> None:
    listed(
        instance,
        [*held("a", 0, 4, mend="first\nsecond"), *held("a", 5, mend="third"), *held("a", 2)],
    )
    passes = Checked(instance)
    passes.open()
    (incident,) = passes.known.values()
    assert (incident.cause, incident.mend) == ("gone in 5", "third\nfirst\nsecond")


def test_hours_that_say_nothing_hide_no_others(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(found_in_checks, "_MOST_READ", 2)
    # Many hours had been read before the warehouse changed; older ones are read now for the first
    # time. Another check tells why.
    said = {0: held("a", 0), 1: held("a", 1), 2: held("b", 2), 3: [], 4: [], 5: []}
    evaluated(instance, "warehouses_are_as_mapped", said)
    assert Checked(instance).open() == {("a", 0), ("a", 1), ("b", 2)}


def test_a_failed_check_of_the_listing_is_looked_at_again_by_the_listing() -> None:
    mends = {
        check: mend(fold([], [Look((Finding("check_failed", "t", "x", check),))], NOW)[0])
        for check in ("every_source_is_configured", "services_send_what_they_sent")
    }
    assert [text.split()[-1] for text in mends.values()] == ["landing_listing", "freshness"]


@pytest.mark.parametrize("is_one_pass", [True, False])
def test_the_newest_evaluation_of_an_hour_counts_whoever_made_it(
    instance: dg.DagsterInstance, *, is_one_pass: bool
) -> None:
    passes = Checked(instance)
    found = [*held("a", 0, 1), *held("b", 0)]
    listed(instance, found)
    assert is_one_pass or passes.open() == {("a", 0), ("a", 1), ("b", 0)}
    # The hour is right since: the older listing does not reopen it.
    ran(instance, 0)
    assert passes.open() == {("a", 1)}
    # Files go after the hour ran.
    listed(instance, found)
    assert passes.open() == {("a", 0), ("a", 1), ("b", 0)}
    ran(instance, 0, "b")
    assert is_one_pass or passes.open() == {("a", 1), ("b", 0)}
    listed(instance, found)
    assert passes.open() == {("a", 0), ("a", 1), ("b", 0)}


def test_what_was_planned_first_may_be_evaluated_last(instance: dg.DagsterInstance) -> None:
    listed(instance, held("a", 0))
    ran(instance, 0)
    # Dagster keeps an evaluation in the row of its plan.
    with instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
        later = "set evaluation_event_timestamp = '2099-01-01 00:00:00.000000'"
        of_listing = f"check_name = '{ALL_HOURS}'"
        connection.execute(text(f"update asset_check_executions {later} where {of_listing}"))
    assert Checked(instance).open() == {("a", 0)}


def test_a_listing_that_is_read_in_a_later_pass_reopens_no_hour_that_was_right_since(
    instance: dg.DagsterInstance,
) -> None:
    passes = Checked(instance)
    ran(instance, 0, "a")
    ran(instance, 1, "a")
    assert passes.open() == {("a", 0), ("a", 1)}
    # The hour is right, and was planned first; the listing looked before, and is read after it.
    ran(instance, 0)
    with instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
        newest = connection.execute(
            text("select max(evaluation_event_timestamp) from asset_check_executions")
        ).scalar()
        before = datetime.fromisoformat(newest) - timedelta(microseconds=1)
    assert passes.open() == {("a", 1)}
    listed(instance, held("a", 0, 1))
    with instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
        earlier = f"set evaluation_event_timestamp = '{before}'"
        of_listing = f"check_name = '{ALL_HOURS}'"
        connection.execute(text(f"update asset_check_executions {earlier} where {of_listing}"))
    assert passes.open() == {("a", 1)}


def test_what_an_earlier_release_opened_under_the_listings_name_is_closed(
    instance: dg.DagsterInstance,
) -> None:
    of_listing = Finding("files_held", "raw_telemetry", "gone", ALL_HOURS)
    passes = Checked(instance)
    passes.run([Look((of_listing,), asset="raw_telemetry", check=ALL_HOURS)])
    listed(instance, held("a", 0))
    assert passes.open() == {("a", 0)}
    assert {i.key.check: i.closed_by for i in passes.known.values()} == {
        ALL_HOURS: "itself",
        OWN: "",
    }


def test_rows_keep_their_contract_and_quote_hostile_sources_in_commands() -> None:
    source = "x; rm -rf '$HOME' `id`"
    finding = Finding("files_held", "raw_telemetry", "gone", "c", source, hours=(START,))
    (incident,) = fold([], [Look((finding,), asset="raw_telemetry", check="c")], NOW)
    rows = frame_of([incident], {source: "north"})
    TABLES["incidents"].schema.validate(rows)
    row = rows.row(0, named=True)
    assert row["studios"] == "north"
    assert row["mend"].endswith("--source 'x; rm -rf '\"'\"'$HOME'\"'\"' `id`'")
    assert (row["first_hour"], row["last_hour"]) == (START, START)
