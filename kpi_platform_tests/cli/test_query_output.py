"""How rows of a query look as a table: values as they are, and never too wide to read."""

import pytest

from kpi_platform.cli.query_output import OutputFormat, write_rows


def _printed(
    capsys: pytest.CaptureFixture[str], columns: list[str], *rows: tuple[object, ...]
) -> list[str]:
    write_rows(columns, [list(rows)], OutputFormat.TABLE, 10)
    return capsys.readouterr().out.splitlines()


def test_columns_that_do_not_fit_lie_one_under_the_other(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    columns = [f"a_column_of_some_length_{number}" for number in range(4)]
    lines = _printed(capsys, columns, (1, 2, 3, 4), (5, 6, 7, 8))
    assert [line.rstrip() for line in lines if line.startswith("row")] == ["row 1", "row 2"]
    assert [line.split()[1:4:2] for line in lines if "a_column" in line] == [
        [columns[number % 4], str(number + 1)] for number in range(8)
    ]
    monkeypatch.setenv("COLUMNS", "200")
    (head,) = (line for line in _printed(capsys, columns, (1, 2, 3, 4)) if "a_column" in line)
    assert all(name in head for name in columns)


def test_money_keeps_its_cents(capsys: pytest.CaptureFixture[str]) -> None:
    values = (15070.87, 3184570.0, 0.0123456789, 270.78)
    line = _printed(capsys, ["a", "b", "c", "d"], values)[3]
    assert line.split()[1::2] == ["15070.87", "3184570", "0.0123457", "270.78"]
