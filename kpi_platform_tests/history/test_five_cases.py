"""Five ways in which data arrives, and who gets the history right: the table in the docs.

The same hours go to our steps, to a real `dbt snapshot` and to a hand-written SCD2 MERGE. A
history is right if it equals the slow reference over what the hours contain at the end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from kpi_platform_tests.history.scd2_peers import Sighting, Span, dbt_snapshot, merge_by_hand
from kpi_platform_tests.laws.lake_world import Move, World, read_tables
from kpi_platform_tests.reference import Event, reference_intervals
from kpi_platform_tests.worlds import START

PAGE = Path(__file__).parents[2] / "docs" / "versions.md"
Hour = tuple[int, list[Event]]


def _at(hour: int) -> datetime:
    return START + timedelta(hours=hour)


def _hour(player: str, hour: int, version: str, signs_in: bool = True) -> Hour:
    """An hour with one session of the player: a sign-in and a version seen half an hour later."""
    session = f"{player}-{hour}"
    seen = Event(
        session, _at(hour) + timedelta(minutes=30), "SoftwareVersion", _at(hour),
        {"Version": version, "Device": "deck"}, 2,
    )  # fmt: skip
    sign_in = Event(session, _at(hour), "SessionStart", _at(hour), {"PlayerId": player}, 1)
    return hour, [sign_in, seen] if signs_in else [seen]


def _sign_in_later(player: str, of_hour: int, arrives: int) -> Hour:
    _, (sign_in, _) = _hour(player, of_hour, "")
    return arrives, [replace(sign_in, ingest_hour=_at(arrives))]


def _cases() -> dict[str, list[Hour]]:
    """Per case the hours in the order of their arrival; the same hour again replaces it."""
    one, two, three = "1.0", "1.1", "1.2"
    return {
        "in order": [_hour("a", 1, one), _hour("a", 2, two), _hour("a", 3, three)],
        "late": [_hour("b", 1, one), _hour("b", 3, three), _hour("b", 2, two)],
        "again": [
            _hour("c", 1, one), _hour("c", 2, two), _hour("c", 3, three), _hour("c", 2, two),
        ],
        "corrected": [_hour("d", 1, one), _hour("d", 2, "9.9"), _hour("d", 2, two)],
        "late sign-in": [
            _hour("e", 1, one), _hour("e", 2, two, signs_in=False), _hour("e", 3, three),
            _sign_in_later("e", 2, 4),
        ],
    }  # fmt: skip


CASES = _cases()


def _final(arrivals: Sequence[Hour]) -> list[Event]:
    contents = dict(arrivals)
    return [event for events in contents.values() for event in events]


def _expected(arrivals: Sequence[Hour]) -> list[Span]:
    return [
        (row["player_id"], row["version"], row["valid_from"], row["valid_to"])
        for row in reference_intervals(_final(arrivals))
    ]


def _loads() -> list[list[Sighting]]:
    """What arrives with each turn in all cases together, with the players known by then."""
    loads: list[list[Sighting]] = [[] for _ in range(max(map(len, CASES.values())))]
    for arrivals in CASES.values():
        players: dict[str, str] = {}
        for turn, (_, events) in enumerate(arrivals):
            players |= {e.session: e.attributes["PlayerId"] for e in events if e.player()}
            loads[turn] += [
                (players[event.session], event.attributes["Version"], event.at)
                for event in events
                if event.name == "SoftwareVersion" and event.session in players
            ]
    return loads


def _ours(folder: Path) -> list[Span]:
    spans: list[Span] = []
    for name, arrivals in CASES.items():
        world = World(folder / name.replace(" ", "-"))
        for number, events in arrivals:
            world.make(Move((_at(number),), {_at(number): events}))
        rows = read_tables(world.uri, ["user_version_intervals"])["user_version_intervals"]
        columns = ("player_id", "version", "valid_from", "valid_to")
        spans += [tuple(row[column] for column in columns) for row in rows]
    return spans


def _table(made: Mapping[str, Sequence[Span]]) -> str:
    lines = [f"| | {' | '.join(CASES)} |", f"|---|{'---|' * len(CASES)}"]
    for name, spans in made.items():
        right = [
            [span for span in spans if span[0] in _players(arrivals)] == _expected(arrivals)
            for arrivals in CASES.values()
        ]
        lines.append(f"| {name} | {' | '.join('right' if is_ else 'wrong' for is_ in right)} |")
    return "\n".join(lines)


def _players(arrivals: Sequence[Hour]) -> set[str]:
    return {player for event in _final(arrivals) if (player := event.player())}


@pytest.mark.slow
def test_the_table_in_the_docs_says_who_gets_which_case_right(tmp_path: Path) -> None:
    made = {
        "`user_version_history`": _ours(tmp_path / "ours"),
        "dbt snapshot (`check`, `updated_at`)": dbt_snapshot(tmp_path / "dbt", _loads()),
        "SCD2 MERGE by hand": merge_by_hand(_loads()),
    }
    table = _table(made)
    print(table)
    ours = next(line for line in table.splitlines() if "user_version_history" in line)
    assert "wrong" not in ours and ours.count("right") == len(CASES)
    assert table in PAGE.read_text(encoding="utf-8")


def test_every_peer_starts_from_what_it_does_well() -> None:
    in_order = [[load for load in loads if load[0] == "a"] for loads in _loads()]
    assert merge_by_hand(in_order) == _expected(CASES["in order"])
