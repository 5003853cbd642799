"""`docs/studios-shown.md` shows what the platform says today."""

from collections.abc import Callable
from pathlib import Path

import pytest

from kpi_platform_tests.docs.shown_studios import BLOCKS, PAGE, blocks_of


@pytest.mark.parametrize(("name", "make"), BLOCKS.items())
def test_the_page_shows_what_is(name: str, make: Callable[[Path], str], memory_path: Path) -> None:
    assert blocks_of(PAGE.read_text())[name] == make(memory_path)
