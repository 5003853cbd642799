"""What a column can be by its name, type and values, and how its value is written.

Belongs here: ranking columns for a role, units of money and time spans. Does not: the choice.
"""

from collections.abc import Callable, Sequence

from kpi_platform.onboarding import name_words as names
from kpi_platform.onboarding.sampled_columns import Candidate, looks_like_cents, time_shape

_OF_MONEY = {"cents", "cent", "pence", "minor", "ct", "micros", "micro"}


def written(candidate: Candidate, **more: object) -> object:
    """As the sources file writes it: a plain column's name stands for itself."""
    if not candidate.path and not more:
        return candidate.column
    path = {"path": list(candidate.path)} if candidate.path else {}
    return {"column": candidate.column, **path, **more}


def ranked(role: str, found: Sequence[Candidate]) -> list[tuple[float, Candidate]]:
    """Candidates whose name says the role, best first: how much of the name the phrase covers."""
    scored = [
        (len(phrase.split()) / len(names.words(c.name)), len(phrase), c)
        for c in found
        if (phrase := names.says(c.name, names.COLUMNS[role]))
    ]
    scored.sort(key=lambda item: (-item[0], -item[1], len(item[2].path)))
    return [(score, candidate) for score, _, candidate in scored]


def can_be(role: str, candidate: Candidate) -> bool:
    """Whether types and values allow the role."""
    return _CAN_BE.get(role, _anything)(candidate)


def fits(role: str, candidate: Candidate) -> bool:
    """Whether name, types and values say the role."""
    return bool(names.says(candidate.name, names.COLUMNS[role])) and can_be(role, candidate)


def _anything(candidate: Candidate) -> bool:
    return candidate.family not in ("json", "nested")


def _identifier(candidate: Candidate) -> bool:
    return candidate.family in ("integer", "text", "uuid", "decimal") and (
        not names.says(candidate.name, names.PERSONAL)
    )


def _money(candidate: Candidate) -> bool:
    is_id = names.words(candidate.name)[-1:] in (("id",), ("code",), ("currency",))
    return candidate.is_number and not is_id and time_shape(candidate) is None


def _code(candidate: Candidate) -> bool:
    return all(v.strip().upper() in names.CURRENCIES for v in candidate.values)


_CAN_BE: dict[str, Callable[[Candidate], bool]] = {
    "player_id": _identifier,
    "session_id": _identifier,
    "Amount": _money,
    "DurationSeconds": lambda c: c.is_number and time_shape(c) is None,
    "Currency": _code,
    "Country": lambda c: all(len(v) <= 3 for v in c.values),
    "deleted": lambda c: True,
}


def has_no_cents(found: Sequence[Candidate]) -> bool:
    """Whether the money is of currencies without a smaller unit."""
    codes = {v.upper() for c in found if fits("Currency", c) for v in c.values}
    return bool(codes) and codes <= names.WITHOUT_CENTS


def scaled(role: str, best: Candidate, without_cents: bool) -> tuple[object, str, float]:
    """The value with the unit that its name or its values tell."""
    parts = names.words(best.name)
    if role == "Amount" and without_cents:
        return written(best), f"the name of {best.name}; its currency has no cents", 0.8
    if role in ("Amount", "DurationSeconds"):
        for part in parts:
            if part in names.SCALES and (role == "DurationSeconds") == (part not in _OF_MONEY):
                scale = names.SCALES[part]
                return written(best, scale=scale), f"the name of {best.name} says {part}", 0.95
    if role == "Amount" and best.family in ("integer", "text") and looks_like_cents(best):
        reason = f"{best.name} holds whole numbers that end as cents do"
        return written(best, scale="0.01"), reason, 0.7
    return written(best), f"the name of {best.name}", 0.95
