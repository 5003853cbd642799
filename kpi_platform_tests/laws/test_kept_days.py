"""Events go when their days are kept: no figure moves then, nor by anything that comes later."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from kpi_platform.arrivals.telemetry import raw_step
from kpi_platform.cleaned import events_step
from kpi_platform.cleaned.checks import check_events
from kpi_platform.cleaned.sessionization import sessions_step
from kpi_platform.engine.books.kept_days import closed_days, emptied_hours, kept_days
from kpi_platform.engine.platform import Platform
from kpi_platform.history import history_step
from kpi_platform.kpis.loading.kept_rows import DAY_OF, REFUND_DAYS
from kpi_platform.retention.run import run_retention
from kpi_platform.verification.report import as_lines
from kpi_platform.verification.verify import verify
from kpi_platform_tests.kpis.builds import PROJECT, parsed_project
from kpi_platform_tests.kpis.fast_builds import FastBuild, fast_builds
from kpi_platform_tests.laws.kept_world import EVERY_HOUR, KeptWorld, marts
from kpi_platform_tests.laws.sealed_world import DAY, FOLDED, HOUR, START, WALL, sorted_rows

_MEMORY = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
# A world and its twin cost a minute: others than the one written down are made when asked for.
_EXAMPLES = int(os.environ.get("KPI_LAWS_EXAMPLES", "0"))
_PHASES = (Phase.explicit, Phase.generate) if _EXAMPLES else (Phase.explicit,)
FIRST, EVENING, NEXT, OPEN = (START + n * HOUR for n in (5, 23, 28, 75))
NEWEST = START + 37 * DAY


@pytest.fixture(scope="module")
def builds() -> Iterator[Callable[[], FastBuild]]:
    with fast_builds() as made:
        yield made


@pytest.fixture(scope="module")
def worlds() -> Iterator[KeptWorld]:
    """Days with players who come back, pay, are refunded, and play over midnight."""
    with tempfile.TemporaryDirectory(dir=_MEMORY) as folder:
        world = KeptWorld(Path(folder) / "world")
        for number, hour in enumerate((FIRST, EVENING, NEXT, OPEN)):
            sighted = "'Version': 1.{}, 'Device': 'Phone', 'PlayerId': 'P{}'"
            lines = [
                f"5|S{number}|SoftwareVersion|{sighted.format(number, 1)}",
                f"6|S{number}|Purchase|'Amount': 5, 'Currency': 'EUR', 'PurchaseId': 'B{number}'",
                f"7|S{number}|FeatureUsed|'Feature': 'F1'",
                f"8|S{number}|Crash|'Code': 'C'",
                f"9|T{number}|SoftwareVersion|{sighted.format(number, number + 2)}",
                f"10|T{number}|SoftwareVersion|{sighted.format(number + 1, number + 2)}",
                f"10|T{number}|Install|'Source': 'ad'",
                "12||Notification|'Kind': 'VersionUpgrade', 'Status': 'sent', 'TargetVersion': 1.9,"
                " 'PlayerId': 'P1'",
            ]
            world.write(hour, "a.tsv", lines)
        # Over midnight, in files of both sides; a refund of what was bought on the first day.
        over = ["50|M|SoftwareVersion|'Version': 1.1, 'PlayerId': 'P9'", "62|M|Issue|'Code': 'I'"]
        world.write(EVENING, "b.tsv", over)
        world.write(
            START + DAY,
            "a.tsv",
            [
                "3|M|FeatureUsed|'Feature': 'F2'",
                "4|M|SoftwareVersion|'Version': 1.2",
                "5|M|Purchase|'Amount': 5, 'Currency': 'EUR', 'PurchaseId': 'R', 'RefundOf': 'B0'",
            ],
        )
        world.work(EVERY_HOUR)
        world.go_on(1)
        yield world


def test_every_model_that_reads_events_has_kept_rows() -> None:
    models = [node for node in parsed_project().nodes.values() if node.resource_type == "model"]
    events = "model.kpi_platform.attributed_events"
    readers = {node.name: node for node in models if events in node.depends_on.nodes}
    assert set(readers) == set(DAY_OF)
    for name, node in readers.items():
        assert "{{ kept_rows() }}" in node.raw_code, name
        assert DAY_OF[name] in node.columns, name
        assert all(column.data_type for column in node.columns.values()), name
    project = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))
    assert project["vars"]["refund_days"] == REFUND_DAYS


def test_no_figure_moves_when_events_go(
    worlds: KeptWorld, builds: Callable[[], FastBuild], tmp_path: Path
) -> None:
    world, made = worlds.copy_of(tmp_path / "world"), builds()
    world.build(made, is_new=True)
    before, folded = marts(made), world.folded()
    found = world.keep()
    assert found is not None
    assert found.events is not None
    assert found.events.reason == ""
    kept = kept_days(world.lake)
    assert kept is not None
    assert kept.through == START.date()
    # Its last line is of the next day.
    assert emptied_hours(world.lake) == {FIRST}
    assert world.lake.read_hours("cleaned_events", [FIRST]).is_empty()
    world.build(made)
    assert marts(made) == before
    assert world.folded() == folded
    assert all(check.passed for check in check_events(world.lake, [FIRST, EVENING], 1))
    # The database is lost: what is kept comes back, and the rest is made anew.
    again = builds()
    world.build(again, is_new=True)
    assert marts(again) == before
    # Nothing is to be done, and what was taken from where is told.
    assert world.keep() is not None
    told = verify(world.platform, None, None, 50, lambda *_: None)
    assert told.is_equal
    assert not told.stale
    assert FIRST in told.closed
    assert "are closed: their sessions and sightings taken as stored" in list(as_lines(told))[-1]


def test_a_run_that_is_killed_is_completed_by_the_next(
    worlds: KeptWorld, builds: Callable[[], FastBuild], tmp_path: Path
) -> None:
    whole, made = worlds.copy_of(tmp_path / "whole"), builds()
    whole.build(made, is_new=True)
    lines = whole.platform.settings.model_copy(update={"keep_events_days": None})
    run_retention(Platform(lines), WALL, lambda *_: None)
    before = KeptWorld(tmp_path / "whole").folded()
    shutil.copytree(whole.root, tmp_path / "ready")
    whole.keep()
    for at_write in range(1, 40):
        world = KeptWorld(tmp_path / f"{at_write}")
        shutil.copytree(tmp_path / "ready", world.root, dirs_exist_ok=True)
        # What was copied looks as if it had changed: no file is there to be looked at.
        shutil.rmtree(world.root / "landing" / "game")
        (world.root / "landing" / "game").mkdir()
        is_killed = world.keep(at_write) is None
        assert world.keep() is not None
        assert world.folded() == before
        for table in ("kept_contributions", "emptied_hours", "cleaned_events"):
            assert sorted_rows(world.lake, table) == sorted_rows(whole.lake, table), at_write
        assert kept_days(world.lake) == kept_days(whole.lake)
        if not is_killed:
            assert at_write > len(DAY_OF)
            return
    raise AssertionError("a run has more writes than that")


_MOVES = ("late", "new", "corrected", "version", "keep", "keep", "later", "lost", "build")


@settings(
    max_examples=max(_EXAMPLES, 1),
    phases=_PHASES,
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(moves=st.lists(st.sampled_from(_MOVES), min_size=4, max_size=7))
@example(moves=["keep", "late", "version", "new", "lost", "later", "keep", "corrected", "build"])
def test_whatever_comes_figures_are_those_of_a_world_that_keeps_its_events(
    worlds: KeptWorld, builds: Callable[[], FastBuild], moves: list[str]
) -> None:
    with tempfile.TemporaryDirectory(dir=_MEMORY) as folder, pytest.MonkeyPatch.context() as patch:
        world, made = worlds.copy_of(Path(folder) / "world"), builds()
        world.build(made, is_new=True)
        refused = set()
        for number, move in enumerate(moves):
            if move == "lost":
                made = builds()
            elif move == "version":
                for step in (raw_step, events_step, sessions_step, history_step):
                    patch.setattr(step, "VERSION", f"of move {number}")
                world.work([*EVERY_HOUR, NEWEST])
            elif not _made(world, move, number):
                refused.add(number)
            world.build(made, is_new=move == "lost")
        found = marts(made)
        again = builds()
        world.build(again, is_new=True)
        assert marts(again) == found
        patch.undo()
        twin = worlds.copy_of(Path(folder) / "twin")
        twin.platform = Platform(
            twin.platform.settings.model_copy(update={"keep_events_days": None})
        )
        for number, move in enumerate(moves):
            if number not in refused:
                _made(twin, move, number)
        other = builds()
        twin.build(other, is_new=True)
        assert marts(other) == found
        for table in FOLDED:
            assert sorted_rows(twin.lake, table) == sorted_rows(world.lake, table)


def _made(world: KeptWorld, move: str, number: int) -> bool:
    """Make a move that changes what hours contain, or lets rows go; whether it was taken."""
    seen = "'Version': 1.7, 'Device': 'Phone', 'PlayerId': 'P1'"
    if move == "late":
        world.write(FIRST, f"late {number}.tsv", [f"1|L{number}|SoftwareVersion|{seen}"])
        world.write(OPEN, f"late {number}.tsv", [f"-1200|L{number}|SoftwareVersion|{seen}"])
        world.work([FIRST, OPEN])
    elif move == "new":
        back = f"'Amount': 5, 'Currency': 'EUR', 'PurchaseId': 'R{number}', 'RefundOf': 'B0'"
        lines = [f"1|N{number}|SoftwareVersion|{seen}", f"2|N{number}|Purchase|{back}"]
        world.write(NEWEST, f"new {number}.tsv", lines)
        world.work([NEWEST])
    elif move == "corrected":
        closed = closed_days(world.lake)
        world.write(
            FIRST, "a.tsv", [f"5|S0|SoftwareVersion|{seen}", f"6|C{number}|Crash|'Code': 1"]
        )
        world.work([FIRST])
        return closed is None
    elif move == "keep":
        assert world.keep() is not None
    elif move == "later":
        world.go_on(2)
    return True
