// Trends: one KPI large, alone or compared, and all of them small.
function timesOf(data, a, b) {
  const first = data.start_ms;
  return Array.from({ length: b - a + 1 }, (_, i) => first + (a + i) * data.step_seconds * 1000);
}

function comparedGrains() {
  if (state.by === "studio") return core.studios.map((x) => [x.key, "all"]);
  if (state.by === "game") return core.studios.filter((x) => state.studio === "all" || x.key === state.studio).flatMap((x) => x.games.map((g) => [x.key, g.key]));
  return [[state.studio, state.game]];
}

// The series of the grains with the largest values, at most `count`, largest first.
function largest(grains, data, kpi, a, b, count) {
  // A studio keeps its colour from chart to chart, as long as there are colours enough.
  const tone = (i) => grains.length <= 8 ? i : undefined;
  return grains.map(([studio, game], i) => ({ name: grainName(studio, game), found: grain(data, studio, game), color: tone(i) })).filter((x) => x.found && !missing(kpi, x.found.studio, x.found.game))
    .map((x) => ({ name: x.name, color: x.color, values: x.found.values(kpi).slice(a, b + 1), complete: x.found.complete.slice(a, b + 1) }))
    .map((x) => ({ ...x, total: x.values.reduce((sum, v) => sum + (v || 0), 0) })).sort((p, q) => q.total - p.total).slice(0, count);
}

function trendsView() {
  const byHour = (state.scale === "auto" ? hourly && core.days <= 3 : state.scale === "hour"), data = byHour ? hourly : daily;
  if (!data) return [viewHead("Trends"), notYet("The trend", byHour ? "kpi_hourly" : "kpi_daily")];
  const [a, b] = byHour ? [0, data.length - 1] : period();
  const sourceOf = (k) => [data, ...(byHour || state.platform !== "all" ? [] : [feeds.console, feeds.stream])].find((d) => d?.measures[k]);
  const kpis = Object.keys(core.kpis).filter(sourceOf);
  const kpi = kpis.includes(state.kpi) ? state.kpi : kpis[0], rule = core.kpis[kpi];
  const times = timesOf(data, a, b);
  const all = comparedGrains(), series = largest(all, sourceOf(kpi), kpi, a, b, 8);
  const alone = (k) => { const found = grain(sourceOf(k), state.studio, state.game); return found && !missing(k, state.studio, state.game) ? found : null; };
  return [viewHead("Trends", byHour ? "The newest seven days, hour by hour (UTC)." : ""),
    h("div", { class: "row controls" },
      select("KPI", kpi, kpis.map((k) => [k, core.kpis[k].label]), (v) => choose({ kpi: v }), { id: "t-kpi" }),
      select("Compare", state.by, [["none", "the selection alone"], ["studio", "studios"], ["game", "games"]], (v) => choose({ by: v }), { id: "t-by" }),
      select("Step", byHour ? "hour" : "day", [["day", "day"], ["hour", "hour"]], (v) => choose({ scale: v }), { id: "t-scale" })),
    h("section", { class: "card" }, h("h3", {}, term(kpi)), all.length > 8 ? h("p", { class: "small" }, `The 8 largest of ${all.length}.`) : "",
      series.length ? lineChart(series, times, { unit: rule.unit, title: rule.label, hourly: byHour, wide: 980, height: 320 }) : nothing("Nothing happened in this selection."),
      series.length ? asTable(series, times, rule, byHour) : ""),
    h("div", { class: "small-charts" }, kpis.map((k) => h("section", { class: "card" }, h("h3", {}, term(k)), smallChart(k, alone(k), times, a, b, byHour))))];
}

function smallChart(kpi, found, times, a, b, byHour) {
  if (!found) return nothing(missing(kpi, state.studio, state.game) ? "Not told: " + missing(kpi, state.studio, state.game) + "." : "Nothing happened in this selection.");
  return lineChart([{ name: grainName(state.studio, state.game), values: found.values(kpi).slice(a, b + 1), complete: found.complete.slice(a, b + 1) }], times,
    { unit: core.kpis[kpi].unit, title: core.kpis[kpi].label, hourly: byHour, wide: 340, height: 160 });
}

function asTable(series, times, rule, byHour) {
  const box = h("details", { class: "as-table" }, h("summary", {}, "The figures as a table"));
  box.addEventListener("toggle", () => {
    if (box.children.length > 1) return;
    box.append(h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Figures" }, h("table", {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, byHour ? "Hour (UTC)" : "Day (UTC)"), series.map((x) => h("th", { scope: "col", class: "num" }, named(x.name))))),
      h("tbody", {}, times.map((t, i) => h("tr", {}, h("th", { scope: "row" }, byHour ? hourText(t) : isoDay(t)), series.map((x) => h("td", { class: "num" }, show(x.values[i], rule.unit, true), x.complete[i] === "0" ? h("em", { class: "small" }, " provisional") : "")))).reverse()))));
  });
  return box;
}
