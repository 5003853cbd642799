"""What commands that only read say of a lake that another release laid out.

Belongs here: the line on standard error. Does not: the judgement (`engine/layout.py`).
"""

from kpi_platform.cli.terminal import say
from kpi_platform.engine.layout import said_of_layout
from kpi_platform.storage.lake.lake import Lake


def name_other_layout(lake: Lake) -> None:
    """Say in one line that the lake is of another release, if it is; the command goes on."""
    if said := said_of_layout(lake):
        say(f"kpi: {said}", err=True)
