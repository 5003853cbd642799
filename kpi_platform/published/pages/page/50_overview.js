// The overview: what matters at a glance, and studios and games side by side.
// Which KPIs stand where, their definitions say (`shown_in`).
const listed = (list, table = "kpi_daily") => core.kpi_lists[table][list];

function change(found, kpi, a, b) {
  const length = b - a + 1;
  if (a - length < 0) return null;
  const now = aggregate(found, kpi, a, b, state.provisional), before = aggregate(found, kpi, a - length, a - 1, state.provisional);
  if (now === null || before === null || before === 0) return null;
  return core.kpis[kpi].unit === "share" ? { points: (now - before) * 100, before } : { ratio: now / before - 1, before };
}

function changeText(kpi, delta, long) {
  if (!delta) return long ? h("span", { class: "delta none" }, "no earlier period") : "";
  const value = delta.ratio ?? delta.points / 100, up = value > 0.0005, down = value < -0.0005;
  const better = core.kpis[kpi].better, good = better === "neither" || (!up && !down) ? "" : (better === "more") === up ? "good" : "bad";
  const text = delta.points !== undefined ? d1.format(Math.abs(delta.points)) + " points" : d1.format(Math.abs(value) * 100) + " %";
  return h("span", { class: "delta " + good, title: "before: " + show(delta.before, core.kpis[kpi].unit, true) }, (up ? "▲ " : down ? "▼ " : "＝ ") + text, long ? h("span", { class: "small" }, " against the period before") : "");
}

function kpiCard(found, kpi, a, b) {
  const rule = core.kpis[kpi], lacks = missing(kpi, state.studio, state.game), value = lacks ? null : aggregate(found, kpi, a, b, state.provisional);
  const values = found && !lacks ? found.values(kpi) : null, silent = lacks || state.game !== "all" ? [] : silentGames(kpi);
  return h("article", { class: "kpi", "data-kpi": kpi }, h("h3", {}, term(kpi)),
    h("p", { class: "big" }, show(value, rule.unit)), h("p", { class: "small" }, lacks ? "not told: " + lacks : aggregateText(rule)),
    lacks ? "" : changeText(kpi, change(found, kpi, a, b), true), silent.length ? h("p", { class: "small silent", title: silent.map(([studio, game]) => gameName(studio, game)).join(", ") }, of(silent.length, "game does", "games do") + " not tell it") : "", values ? sparkline(values.slice(a, b + 1), found.complete.slice(a, b + 1)) : "");
}

function retentionCard(day, a, b) {
  const found = retentionOf(state.studio, state.game, day, "classic", a, b);
  return h("article", { class: "kpi", "data-kpi": "retention_d" + day }, h("h3", {}, columnTerm("kpi_retention", "retention_classic", `Retention D${day}`)), h("p", { class: "big" }, show(found?.share, "share")),
    h("p", { class: "small" }, found ? `${whole.format(found.size)} new players whose day ${day} is over` : retention ? `no cohort of the period has reached day ${day}` : "not available yet"));
}

// What an installation says that has no figures yet.
const firstSteps = () => h("section", { class: "card" }, h("h3", {}, "There are no figures yet"),
  h("p", {}, core.now ? "Hours were processed, and no KPI was published yet: materialise the assets after cleaned_events, or all of them."
    : "No hour has been processed: put telemetry files into the landing zone and materialise its hours in Dagster, or run make demo to see the platform with a small world of its own."));

function overviewView() {
  if (!daily) return [viewHead("Overview"), firstSteps()];
  const [a, b] = period(), found = grain(daily, state.studio, state.game);
  const provisional = found ? [...found.complete.slice(a, b + 1)].filter((c) => c === "0").length : 0;
  const kpis = listed("cards");
  return [viewHead("Overview"),
    found ? "" : nothing("Nothing happened in this selection."),
    provisional ? h("p", { class: "notice" }, h("span", { class: "swatch provisional-swatch" }), `${of(provisional, "day")} of the period ${provisional === 1 ? "is" : "are"} provisional: data may still arrive. ${provisional === 1 ? "It is" : "They are"} ${state.provisional ? "counted" : "left out of the figures"} and marked in the charts.`) : "",
    h("div", { class: "kpis" }, kpis.map((k) => kpiCard(found, k, a, b)), [1, 7].map((n) => retentionCard(n, a, b))),
    h("div", { class: "two" }, listed("charts").map((k) => sideBySide(k, a, b))),
    card("Studios and games side by side", h("p", { class: "small" }, "Choose a row to look at it alone. Bars compare within games and within studios; players are counted once per row, so rows do not add up. A dash: the game does not tell it, or its day is not over."), compareTable(a, b))];
}

// The parts of the selection as lines: studios, or the games of a studio.
function sideBySide(kpi, a, b, source = daily) {
  const byHour = source === daily && hourly && core.days <= 3, measure = byHour && kpi === "dau" ? "active_players" : kpi;
  const data = byHour ? hourly : source, [p, q] = byHour ? [0, data.length - 1] : [a, b];
  if (!data?.measures[measure] || !core.kpis[measure]) return "";
  const parts = state.game !== "all" ? [[state.studio, state.game]] : state.studio !== "all"
    ? core.studios.find((x) => x.key === state.studio).games.map((g) => [state.studio, g.key]) : core.studios.map((x) => [x.key, "all"]);
  const series = largest(parts, data, measure, p, q, 6);
  const rule = core.kpis[measure];
  return h("section", { class: "card" }, h("h3", {}, term(measure), h("span", { class: "small" }, byHour ? " by hour, UTC" : " by day", parts.length > 6 ? `, the 6 largest of ${parts.length}` : "")),
    series.length ? lineChart(series, timesOf(data, p, q), { unit: rule.unit, title: rule.label, hourly: byHour, wide: 620, height: 250 }) : nothing("Nothing happened in this selection."));
}

// `data`: the series of all grains; `columns`: KPIs; `first`: what it is sorted by unless chosen.
function compareTable(a, b, data = daily, columns = listed("compared"), first = columns[0]) {
  const kpis = columns.filter((k) => core.kpis[k] && data.measures[k]);
  const line = (studio, game, level) => {
    const found = grain(data, studio, game);
    return { studio, game, level, found, name: grainName(studio, game), values: Object.fromEntries(kpis.map((k) => [k, missing(k, studio, game) ? null : aggregate(found, k, a, b, state.provisional)])) };
  };
  const by = kpis.includes(state.sort) ? state.sort : first, order = (p, q) => (q.values[by] ?? -Infinity) - (p.values[by] ?? -Infinity);
  const studios = core.studios.filter((x) => state.studio === "all" || x.key === state.studio).map((x) => ({
    head: line(x.key, "all", 1), games: x.games.filter((g) => state.game === "all" || g.key === state.game).map((g) => line(x.key, g.key, 2)).filter((l) => l.found).sort(order) }))
    .filter((x) => x.head.found).sort((p, q) => order(p.head, q.head));
  const lines = [...(state.studio === "all" ? [line("all", "all", 0)] : []), ...studios.flatMap((x) => [x.head, ...x.games])];
  const most = (k, level) => Math.max(0, ...lines.filter((l) => l.level === level).map((l) => l.values[k] || 0)) || 1;
  const tops = Object.fromEntries(kpis.map((k) => [k, [1, most(k, 1), most(k, 2)]]));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Studios and games" }, h("table", { class: "compare" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Studio, game"), h("th", { scope: "col" }, "Trend"), kpis.map((k) => h("th", { scope: "col", class: "num", "aria-sort": k === by ? "descending" : null }, term(k, core.kpis[k].short),
      h("button", { type: "button", class: "sorter", id: `s-${first}-${k}`, "aria-label": "Sort by " + core.kpis[k].label, onclick: () => choose({ sort: k }) }, k === by ? "▼" : "↕"))))),
    h("tbody", {}, lines.map((l) => h("tr", { class: "level" + l.level },
      h("th", { scope: "row" }, h("button", { type: "button", class: "pick", id: `p-${first}-${l.studio}/${l.game}`, onclick: () => choose({ studio: l.studio, game: l.game }) }, named(l.name))),
      h("td", { class: "trend" }, l.found ? sparkline((l.found.values(by) || []).slice(a, b + 1), l.found.complete.slice(a, b + 1)) : ""),
      kpis.map((k) => h("td", { class: "num", title: missing(k, l.studio, l.game) ? "not told: " + missing(k, l.studio, l.game) : null }, h("span", { class: "value" }, show(l.values[k], core.kpis[k].unit)),
        l.level && core.kpis[k].unit !== "share" ? h("span", { class: "bar", "aria-hidden": "true", style: { width: Math.max(0, (l.values[k] || 0) / tops[k][l.level] * 100) + "%" } }) : "",
        missing(k, l.studio, l.game) ? "" : changeText(k, change(l.found, k, a, b)))))))));
}
