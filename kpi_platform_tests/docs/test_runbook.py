"""The runbook has a section for each kind of incident, and none of anything else."""

import re
from pathlib import Path

from kpi_platform.alerts.policies import parse_alerts
from kpi_platform.schemas.findings import KINDS

DOCS = Path(__file__).parents[2] / "docs"


def test_kinds_and_sections_are_the_same() -> None:
    page = (DOCS / "runbook.md").read_text()
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    assert list(sections) == list(KINDS)
    for kind, text in sections.items():
        words = re.findall(r"^\*\*(It means|Look at|Do)\*\*", text, re.MULTILINE)
        assert words == ["It means", "Look at", "Do"], kind


def test_the_example_of_policies_is_one() -> None:
    page = (DOCS / "alerts.md").read_text()
    block = page[page.index("    alert_policies:\n") :].partition("\n\n")[0]
    text = "\n".join(line.removeprefix("    ") for line in block.splitlines())
    assert [policy.name for policy in parse_alerts(text, "alerts.md").enabled] == [
        "on-call",
        "north",
    ]


def test_every_kind_is_said_to_be_looked_for_but_erasures() -> None:
    table = (DOCS / "alerts.md").read_text().partition("## What becomes")[2].partition("\n\nThe")[0]
    assert set(KINDS) - set(re.findall(r"`(\w+)`", table)) == {"erasure_overdue"}
