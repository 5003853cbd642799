"""The daily report in words: HTML for e-mail, plain text, and text for Slack.

Belongs here: how figures are said in each form. Does not: which figures, and sending them.
"""

from collections.abc import Mapping, Sequence
from datetime import date

from jinja2 import Environment

from kpi_platform.published.pages.report_figures import Figure, ReportFigures, Series

_CHART = (560, 150)
SLACK_LIMIT = 3000
_BARS = "▁▂▃▄▅▆▇█"


def shown(value: float | None, unit: str) -> str:
    """A value in its unit, as a reader wants it."""
    if value is None:
        return "–"
    match unit:
        case "share":
            return f"{value * 100:.1f} %"
        case "usd":
            sign = "−" if value < 0 else ""
            return f"{sign}${abs(value):,.{2 if abs(value) < 1000 else 0}f}"
        case "seconds" if abs(value) < 7200:
            return f"{value / 60:.1f} min"
        case "seconds":
            return f"{value / 3600:,.1f} h"
        case "ratio":
            return f"{value:.2f}"
        case _:
            return f"{value:,.0f}"


def change(figure: Figure, before: float | None) -> str:
    """The change against an earlier value: percent, or points of a share; blank if unknown."""
    if figure.value is None or before is None:
        return ""
    if figure.kpi.shown_unit == "share":
        return f"{(figure.value - before) * 100:+.1f} points"
    return f"{(figure.value / before - 1) * 100:+.1f} %" if before else ""


def headline(figures: ReportFigures) -> str:
    """The report in one sentence."""
    if figures.day is None:
        return "No day is complete yet."
    by_name = {figure.kpi.kpi: figure for figure in figures.portfolio}
    said = []
    for name, words in (
        ("dau", "active players"),
        ("revenue_usd", "revenue"),
        ("new_players", "new players"),
    ):
        figure = by_name.get(name)
        if figure is not None:
            against = change(figure, figure.week_before)
            value = shown(figure.value, figure.kpi.shown_unit)
            said.append(
                f"{value} {words}" + (f" ({against} on the week before)" if against else "")
            )
    return f"{_day(figures.day)}: {', '.join(said)}."


def _day(day: date) -> str:
    return f"{day:%A}, {day.day} {day:%B %Y}"


def titled(figures: ReportFigures) -> str:
    """What the report is called."""
    return f"Daily KPI report{f': {_one_line(figures.studio)}' if figures.studio else ''}"


def whole(figures: ReportFigures) -> str:
    """What its first figures are of."""
    return _one_line(figures.studio) or "All studios"


def first_lines(figures: ReportFigures) -> list[str]:
    """What is said before all else: what is missing, then what was told and is otherwise now."""
    lines = [f"NOT COMPLETE: {_one_line(figures.missing)}"] if figures.missing else []
    if figures.corrections:
        lines += ["CORRECTED since it was sent:"]
        lines += [f"- {_one_line(text)}" for text in figures.corrections]
    return [*lines, ""] if lines else []


def report_text(figures: ReportFigures) -> str:
    """The report as plain text of at most 78 columns where names allow it."""
    lines = [*first_lines(figures), titled(figures).upper(), headline(figures), ""]
    if figures.portfolio:
        lines += [f"{whole(figures)[:33]:<34}{'value':>12}{'day before':>15}{'week before':>16}"]
        lines += [
            f"{f.kpi.label:<34}{shown(f.value, f.kpi.shown_unit):>12}"
            f"{change(f, f.day_before):>15}{change(f, f.week_before):>16}"
            for f in figures.portfolio
        ]
        lines += ["", *_studio_lines(figures), "", *_bar_lines(figures.series)]
    lines += ["Needs attention:", *(f"- {_one_line(text)}" for text in _attention(figures))]
    return "\n".join([*lines, "", _closing(figures), ""])


def _bar_lines(series: Sequence[Series]) -> list[str]:
    """The charts as bars of text, for where no picture can be shown."""
    drawn = [each for each in series if any(value is not None for _, value, _ in each.days)]
    if not drawn:
        return []
    days = drawn[0].days
    return [
        f"By day, {days[0][0]:%d %b} to {days[-1][0]:%d %b}, from the least to the greatest:",
        *(line for each in drawn for line in (f"{each.kpi.label}: {_ends(each)}", _bars(each))),
        *(["(a ' behind the bars for each of their days that may change)"] * _may_change(drawn)),
        "",
    ]


def _bars(series: Series) -> str:
    """A bar a day, a blank where there is no value; then how many days may change."""
    values = [value for _, value, _ in series.days]
    least, greatest = _extremes(series)
    scale = (len(_BARS) - 1) / ((greatest - least) or 1.0)
    bars = (" " if value is None else _BARS[round((value - least) * scale)] for value in values)
    return "".join(bars) + "'" * sum(may_change for _, _, may_change in series.days)


def _may_change(drawn: Sequence[Series]) -> bool:
    return any(may_change for each in drawn for _, _, may_change in each.days)


def _ends(series: Series) -> str:
    return " to ".join(shown(value, series.kpi.shown_unit) for value in _extremes(series))


def _extremes(series: Series) -> tuple[float, float]:
    values = [value for _, value, _ in series.days if value is not None]
    return min(values), max(values)


def _studio_lines(figures: ReportFigures) -> list[str]:
    if not figures.studios:
        return []
    heads = "".join(f"{f.kpi.short:>13}" for f in figures.studios[0].figures)
    return [
        f"{'Game' if figures.studio else 'Studio':<26}{heads}",
        *(
            f"{_one_line(line.name)[:25]:<26}"
            + "".join(f"{shown(f.value, f.kpi.shown_unit):>13}" for f in line.figures)
            for line in figures.studios
        ),
    ]


def _attention(figures: ReportFigures) -> Sequence[str]:
    return figures.attention or ("nothing",)


def _closing(figures: ReportFigures) -> str:
    until = f"Data until {figures.now:%Y-%m-%d %H:%M} UTC." if figures.now else "No data yet."
    which = "the day told of is the newest complete one."
    if figures.missing:
        which = "figures of a day that is not complete may change."
    return f"{until} Days are UTC; {which}"


def _one_line(text: str) -> str:
    """A name from outside without what could break a line or move a cursor."""
    return "".join(c if c.isprintable() else " " for c in text)


def slack_escaped(text: str) -> str:
    """Text that Slack shows as it is: no mention, link or channel call can come of it.

    Source: Slack's "Formatting text for app surfaces": `&`, `<`, `>` become entities.
    """
    return _one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def report_slack(figures: ReportFigures) -> str:
    """The report for Slack (mrkdwn), at most `SLACK_LIMIT` characters."""
    lines = [f"*{slack_escaped(titled(figures))}* · {slack_escaped(headline(figures))}"]
    for line in figures.studios:
        values = " · ".join(
            f"{f.kpi.short} {shown(f.value, f.kpi.shown_unit)}" for f in line.figures
        )
        lines.append(f"• {slack_escaped(line.name)}: {values}")
    lines += [f":warning: {slack_escaped(text)}" for text in figures.attention]
    kept: list[str] = []
    for number, text in enumerate(lines):
        # Cut between lines: half an entity would be shown as garbage.
        if sum(len(each) + 1 for each in kept) + len(text) > SLACK_LIMIT - 40:
            kept.append(f"… {len(lines) - number} more lines in the report")
            break
        kept.append(text)
    return "\n".join([*kept, ""])


def report_html(figures: ReportFigures, template: str, images: Mapping[str, str]) -> str:
    """The report as HTML. `images`: the `src` of every chart by its KPI's label, a data address
    or, in an e-mail, `cid:` and the part's name."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["shown"] = lambda figure: shown(figure.value, figure.kpi.shown_unit)
    return environment.from_string(template).render(
        figures=figures,
        headline=headline(figures),
        title=titled(figures),
        whole=whole(figures),
        closing=_closing(figures),
        change=change,
        images=images,
    )


def chart_svg(series: Series) -> str:
    """A KPI's days as bars; provisional ones are hatched. Holds figures and dates only."""
    width, height = _CHART
    values = [value or 0.0 for _, value, _ in series.days]
    top, low = max([*values, 0.0]) or 1.0, min([*values, 0.0])
    room = (width - 70) / max(len(values), 1)
    scale = (height - 34) / (top - low or 1.0)
    zero = 8 + top * scale
    bars = "".join(
        f'<rect x="{64 + i * room:.1f}" y="{zero - max(value, 0) * scale:.1f}"'
        f' width="{max(1.0, room - 2):.1f}" height="{abs(value) * scale:.1f}"'
        f' fill="{"url(#p)" if is_provisional else "#0072b2"}"/>'
        for i, (value, (_, _, is_provisional)) in enumerate(zip(values, series.days, strict=True))
    )
    ends = [(0, "start"), (len(values) - 1, "end")] if len(values) > 1 else [(0, "start")]
    dates = "".join(
        f'<text x="{64 + i * room + (room - 2 if anchor == "end" else 0):.1f}" y="{height - 6}"'
        f' text-anchor="{anchor}">{series.days[i][0]:%d %b}</text>'
        for i, anchor in ends
        if values
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}" font-family="Arial, sans-serif" font-size="11"'
        ' fill="#4a5866"><defs><pattern id="p" width="5" height="5"'
        ' patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect width="5" height="5" fill="#cfe3f1"/><rect width="2" height="5" fill="#0072b2"/>'
        f'</pattern></defs><rect width="{width}" height="{height}" fill="#ffffff"/>{bars}'
        f'<line x1="60" x2="{width - 4}" y1="{zero:.1f}" y2="{zero:.1f}" stroke="#9aa7b5"/>'
        f'<text x="56" y="16" text-anchor="end">{shown(top, series.kpi.shown_unit)}</text>'
        f'<text x="56" y="{zero:.1f}" text-anchor="end">0</text>{dates}</svg>'
    )
