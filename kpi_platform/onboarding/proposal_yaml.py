"""Proposals as a sources file to review: YAML with the reasons as comments.

Belongs here: writing proposals. Does not: making them.
"""

from collections.abc import Mapping, Sequence

import yaml

from kpi_platform.onboarding.proposals import Proposal

_HEAD = """\
# Proposed mappings of studio {studio}: review them, correct them, and move them to the file of
# KPI_SOURCES. The number after each reason is how sure it is, 0 to 1.
"""
LEAST_CONFIDENCE = 0.3


def as_yaml(
    studio: str, connection: Mapping[str, object], schemas: Mapping[str, Sequence[Proposal]]
) -> str:
    """One studio's proposals as a whole sources file; tables without a proposal as comments."""
    lines = [_HEAD.format(studio=_one_line(studio)), "studios:"]
    lines += [f"  - key: {_scalar(studio)}", f"    warehouse: {_flow(dict(connection))}"]
    lines.append("    games:" if schemas else "    games: []")
    for schema, proposals in schemas.items():
        lines += _game(studio, schema, proposals)
    return "\n".join(lines) + "\n"


def _game(studio: str, schema: str, proposals: Sequence[Proposal]) -> list[str]:
    good = [p for p in proposals if p.mapping and p.confidence >= LEAST_CONFIDENCE]
    lines = [
        f"      - key: {_scalar(schema)}",
        "        sources:",
        f"          - key: {_scalar(f'{studio}-{schema}')}",
        f"            schema: {_scalar(schema)}",
        "            tables:" if good else "            tables: []",
    ]
    for proposal in good:
        lines.append(f"              # {_one_line(proposal.table)}: {proposal.confidence:.2f}")
        lines += [f"              #   {_one_line(reason)}" for reason in proposal.reasons]
        lines += _table(proposal.mapping)
    left = [p for p in proposals if p not in good]
    lines += [
        f"            # not mapped: {_one_line(p.table)}: {_one_line(p.reasons[0])}" for p in left
    ]
    return lines


def _table(mapping: Mapping[str, object]) -> list[str]:
    lines: list[str] = []
    for name, value in mapping.items():
        mark = "- " if not lines else "  "
        lines.append(f"              {mark}{name}: {_flow(value)}")
    return lines


def _flow(value: object) -> str:
    text = yaml.safe_dump(
        value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=10**6
    )
    return text.removesuffix("\n").removesuffix("\n...")


def _scalar(text: str) -> str:
    return _flow(text)


def _one_line(text: str) -> str:
    """A name from outside never ends the comment it stands in."""
    return "".join(c if c.isprintable() else " " for c in text)
