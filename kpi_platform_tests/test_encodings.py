"""Text is read and written as UTF-8 whatever the system's locale says."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "kpi_platform"


def _unnamed(code: str) -> Iterator[int]:
    """The lines that open text without saying in which encoding."""
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.Call):
            continue
        given = {each.arg: each.value for each in node.keywords}
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        texts = [each.value for each in [*node.args, *given.values()] if _is_text(each)]
        opens = name in {"read_text", "write_text"} or (
            # Other things that open take no mode: a lake, a store.
            name in {"open", "fdopen"} and any(set(text) <= set("rwax+t") for text in texts if text)
        )
        # What replaces a field called `text` starts no process.
        is_text = name != "replace" and ("text" in given or "universal_newlines" in given)
        if "encoding" not in given and (opens or is_text):
            yield node.lineno


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


@pytest.mark.parametrize(
    "code",
    ["p.read_text()", "p.write_text(x)", "p.open('w')", "open(p, 'rt')", "run(c, text=True)"],
)
def test_what_names_no_encoding_is_found(code: str) -> None:
    assert list(_unnamed(code)) == [1]


def test_every_text_names_its_encoding() -> None:
    found = [
        f"{file.relative_to(PACKAGE)}:{line}"
        for file in sorted(PACKAGE.rglob("*.py"))
        for line in _unnamed(file.read_text(encoding="utf-8"))
    ]
    assert not found


def test_the_definitions_load_where_the_locale_knows_only_ascii() -> None:
    """Python would make UTF-8 of the C locale by itself; other locales it takes as they are."""
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    code = "import sys, kpi_platform.definitions; assert sys.flags.utf8_mode == 0"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **plain},
        capture_output=True,
        check=False,
        encoding="utf-8",
        errors="replace",
    )
    assert done.returncode == 0, done.stderr[-2000:]
