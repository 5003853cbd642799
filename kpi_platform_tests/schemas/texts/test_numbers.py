"""Numbers with text around them: only what changes nothing may go."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpi_platform.schemas.texts.numbers import (
    MOST_CHARACTERS,
    Measure,
    NumberForm,
    number_text,
    parse_number,
    stated_currencies,
)


@pytest.mark.parametrize(
    ("text", "measure", "expected"),
    [
        ("1.2K", "amount", "1200"),
        ("1.5M", "viewers", "1500000"),
        ("2B", "number", "2000000000"),
        ("1.5M", "seconds", None),
        ("12%", "amount", None),
        ("12 %", "number", None),
        ("(4.99)", "amount", None),
        ("4.99 (EUR)", "amount", None),
        ("5 (refund)", "amount", None),
        ("90 s", "seconds", "90"),
        ("5 min", "seconds", None),
        ("5 min", "number", None),
        ("1362044 hours", "hours", "1362044"),
        ("1362044 hours", "viewers", None),
        ("283669656(4.5%)", "viewers", "283669656"),
        ("4.99(4.5%)", "amount", None),
        ("€4.99", "amount", "4.99"),
        ("-US$4.99", "amount", "-4.99"),
        ("4.99 EUR", "amount", "4.99"),
        ("4.99 EUR", "number", None),
        ("1,234.50", "amount", "1234.50"),
        ("1 234", "number", "1234"),
        ("0,123", "number", None),
        ("4,99", "amount", None),
        ("1,23,456", "number", None),
        ("1'234 567", "number", None),
        ("1.10", "number", "1.10"),
        ("1e5", "number", "100000"),
        ("1e-140000", "amount", None),
        ("1e-60", "amount", None),
        ("9" * 140_000, "amount", None),
        ("1." + "0" * 140_000, "amount", None),
        ("1e400", "number", None),
        ("NaN", "number", None),
        ("inf", "number", None),
        ("", "number", None),
        ("-", "number", None),
    ],
)
def test_only_what_changes_nothing_is_cut_off(
    text: str, measure: Measure, expected: str | None
) -> None:
    assert number_text(NumberForm(measure))(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1.234,50", "1234.50"), ("1234.50", None), ("1.5", None), ("1,5", "1.5"), ("12", "12")],
)
def test_a_point_is_no_decimal_mark_where_a_comma_is(text: str, expected: str | None) -> None:
    assert number_text(NumberForm("amount", ","))(text) == expected


def test_a_refund_is_negative_whichever_way_it_is_stated() -> None:
    refund = number_text(NumberForm("amount", ".", Decimal("0.01"), is_refund=True))
    assert [refund(text) for text in ("499", "-499", "0")] == ["-4.99", "-4.99", "0.00"]


def test_a_scale_is_exact() -> None:
    cents = number_text(NumberForm(scale=Decimal("0.01")))
    assert cents("123456789012345") == "1234567890123.45"
    assert cents("1.23456789012345678901234567890123") == "0.0123456789012345678901234567890123"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("4.99", ()), ("4.99 eur", ("EUR",)), ("£4", ("GBP",)), ("¥4", ("CNY", "JPY")), ("1.2K", ())],
)
def test_an_amount_tells_its_currency(text: str, expected: tuple[str, ...]) -> None:
    assert sorted(stated_currencies(text)) == list(expected)


@settings(deadline=None)
@given(
    st.decimals(-(10**12), 10**12, allow_nan=False, allow_infinity=False, places=4),
    st.sampled_from([".", ","]),
    st.booleans(),
    st.sampled_from(["", " ", "\t"]),
)
def test_every_plain_way_to_write_a_number_is_understood(
    number: Decimal, decimal: str, is_grouped: bool, blank: str
) -> None:
    text = f"{number:,}" if is_grouped else f"{number:f}"
    if decimal == ",":
        text = text.translate(str.maketrans(".,", ",."))
    form = NumberForm("amount", "," if decimal == "," else ".")
    assert parse_number(blank + text + blank, form) == number


@settings(deadline=None)
@given(st.text(max_size=30), st.sampled_from(["amount", "seconds", "hours", "number"]))
def test_no_text_raises_and_every_answer_is_plain_and_short(text: str, measure: Measure) -> None:
    clean = number_text(NumberForm(measure))(text)
    assert clean is None or (len(clean) <= 2 * MOST_CHARACTERS and Decimal(clean).is_finite())
    assert not (clean is None and text.isdecimal() and 0 < len(text) < 15)
