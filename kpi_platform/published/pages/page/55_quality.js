// Data: which hours arrived from whom, where every line went, what is complete, restated, missing.
const HOUR_STATES = { c: ["s-complete", "arrived and complete"], e: ["s-empty", "no data, and later hours have some"], w: ["s-waiting", "no data yet"], f: ["s-failed", "failed"], "-": ["s-not-run", "not processed"], " ": ["", "not active"] };

function qualityView() {
  const ledger = core.ledger, head = viewHead("Data", "Every hour of every source: whether it arrived, and where its lines went. Hours are ingest hours, UTC; sources cover all platforms.");
  if (!ledger) return [head, openIncidents(), notYet("Completeness", "hour_ledger")];
  const mine = ledger.sources.filter((x) => (state.studio === "all" || x.studio === state.studio) && (state.game === "all" || x.game === state.game));
  const [a, b] = ledgerDays();
  return [head, openIncidents(), h("div", { class: "legend" }, [...Object.values(HOUR_STATES).slice(0, 5), ["s-partly", "day in part"]].map(([name, text]) => h("span", {}, h("span", { class: "cell " + name, "aria-hidden": "true" }), text))),
    a > b ? nothing("No hour of this period was processed.") : [hoursOverview(mine, a, b), hoursDetail(mine, a, b)],
    card("Where every line went", h("p", { class: "small" }, "lines = rows + quarantined + duplicates + left out + suppressed + sealed, over the days chosen."), accounting(mine, a, b)),
    card("Published tables", publications()), card("Restatements", restatements()), card("Which KPI is available where", coverage())];
}

// As they were when the page was built; `kpi alerts list` shows them as they are.
function openIncidents() {
  const found = (core.incidents || []).filter((x) => state.studio === "all" || x.studios === "all" || x.studios === state.studio);
  if (!found.length) return card("Open incidents", h("p", { class: "small" }, "None was open when this page was built."));
  return card("Open incidents", found.map((x) => h("details", {},
    h("summary", {}, `${x.severity === "error" ? "Error" : "Warning"}: ${x.title}, since ${x.since} UTC`),
    h("p", {}, x.cause), x.hours ? h("p", { class: "small" }, `Hours (UTC): ${x.hours}`) : "", h("p", { class: "small" }, `Touches: ${x.affects}. Incident ${x.incident_id}. What mends it:`), h("pre", {}, x.mend))));
}

// The ledger has days of its own: data may arrive before the first day with a KPI.
function ledgerDays() {
  const [a, b] = period(), shift = Math.round((parseDay(core.first_day) - parseDay(core.ledger.first_day)) / DAY);
  return [Math.max(0, a + shift), Math.min(core.ledger.days - 1, b + shift)];
}
const ledgerDay = (i) => parseDay(core.ledger.first_day) + i * DAY;

function hoursOverview(mine, a, b) {
  const studios = new Map();
  for (const x of mine) studios.set(x.studio, [...(studios.get(x.studio) || []), x]);
  // Over a long period a cell is a week: thousands of days would be neither read nor drawn quickly.
  const step = b - a + 1 > 120 ? 7 : 1, count = Math.ceil((b - a + 1) / step), every = Math.max(2, Math.ceil(count / 12));
  const days = Array.from({ length: count }, (_, i) => b - (count - 1 - i) * step);
  const cell = (sources, i) => {
    const from = Math.max(a, i - step + 1), hours = sources.map((x) => x.hours.slice(from * 24, (i + 1) * 24)).join("").replaceAll(" ", "");
    const whole24 = hours.length, ok = [...hours].filter((c) => c === "c" || c === "e").length;
    const kind = !whole24 ? "" : hours.includes("f") ? "s-failed" : ok === whole24 ? "s-complete" : ok === 0 ? "s-not-run" : "s-partly";
    return h("td", { class: "cell " + kind, title: `${step > 1 ? "week to " : ""}${isoDay(ledgerDay(i))}: ` + (whole24 ? `${ok} of ${whole24} hours complete${hours.includes("f") ? ", " + [...hours].filter((c) => c === "f").length + " failed" : ""}` : "not active") });
  };
  return card((step > 1 ? "Weeks" : "Days") + " by studio and source", h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Days by studio and source" }, h("table", { class: "days" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Source"), days.map((i) => h("th", { scope: "col" }, ((b - i) / step) % every === 0 ? h("span", {}, shortDay.format(ledgerDay(i))) : "")))),
    [...studios].map(([studio, sources]) => h("tbody", {}, h("tr", { class: "level1" }, h("th", { scope: "row" }, named(studioName(studio))), days.map((i) => cell(sources, i))),
      sources.map((x) => h("tr", { class: "level2" }, h("th", { scope: "row" }, h("button", { type: "button", class: "pick", id: "source-" + x.source, onclick: () => choose({ source: x.source }) }, named(safe(x.source)))), days.map((i) => cell([x], i)))))))));
}

function hoursDetail(mine, a, b) {
  if (!mine.length) return "";
  const chosen = mine.find((x) => x.source === state.source), alone = state.studio !== "all" || mine.length < 4;
  const shown = chosen ? [chosen] : alone ? mine.slice(0, 12) : byStudio(mine).slice(0, 12);
  return card("Hours by day", h("p", { class: "small" }, chosen ? "" : alone ? "By source. " : "By studio: an hour has arrived when it has from every source. Choose a source above, or a studio, to see which. ", "Stronger colour: more lines in the hour."),
    chosen ? h("button", { type: "button", class: "tool", id: "all-sources", onclick: () => choose({ source: "" }) }, "All sources") : "",
    h("div", { class: "hours-grid" }, shown.map((x) => h("figure", {}, h("figcaption", {}, named(x.name || safe(x.source)), " ", h("span", { class: "small" }, x.note || named(gameName(x.studio, x.game)))), hourCanvas(x, a, b)))));
}

// The sources of a studio as one: the worst state of an hour, the digits of its largest number of lines.
const WORST = "f-wce ";
function byStudio(mine) {
  const studios = new Map();
  for (const x of mine) studios.set(x.studio, [...(studios.get(x.studio) || []), x]);
  return [...studios].map(([studio, sources]) => {
    const at = (text, i, best) => sources.map((x) => x[text][i]).reduce(best);
    const every = Array.from(sources[0].hours, (_, i) => i);
    return { source: studioName(studio), name: studioName(studio), note: of(sources.length, "source"),
      hours: every.map((i) => at("hours", i, (p, q) => (WORST.indexOf(p) <= WORST.indexOf(q) ? p : q))).join(""),
      volume: every.map((i) => at("volume", i, (p, q) => (p > q ? p : q))).join("") };
  });
}

function hourCanvas(source, a, b) {
  const n = b - a + 1, size = Math.max(2, Math.min(44, Math.floor(Math.min(480, innerWidth - 110) / n))), tall = 7, left = 26, canvas = h("canvas", { class: "hours", role: "img", tabindex: "0" });
  const hours = source.hours.slice(a * 24, (b + 1) * 24), volume = source.volume.slice(a * 24, (b + 1) * 24);
  const count = (c) => [...hours].filter((x) => x === c).length;
  canvas.setAttribute("aria-label", `Hours of ${source.source}: ${count("c")} complete, ${count("e")} empty, ${count("w")} waiting, ${count("f")} failed. Arrow keys read them.`);
  const most = Math.max(1, ...[...source.volume].map(Number));
  const ratio = Math.min(3, devicePixelRatio || 1) * (matchMedia("print").matches ? 2 : 1), wide = left + n * size, high = 24 * tall + 16;
  canvas.width = wide * ratio; canvas.height = high * ratio;
  canvas.style.width = wide + "px"; canvas.style.height = high + "px";
  const style = getComputedStyle(document.documentElement), get = (v) => style.getPropertyValue(v).trim(), c = canvas.getContext("2d");
  c.scale(ratio, ratio);
  c.font = "9px system-ui, sans-serif"; c.fillStyle = get("--muted");
  for (const t of [0, 6, 12, 18]) c.fillText(String(t).padStart(2, "0"), 4, t * tall + 8);
  const every = Math.max(1, Math.ceil(60 / size));
  for (let d = n - 1; d >= 0; d -= every) { c.textAlign = d === n - 1 ? "right" : "center"; c.fillText(shortDay.format(ledgerDay(a + d)), Math.max(left + 14, left + d * size + (d === n - 1 ? size : size / 2)), 24 * tall + 12); }
  for (let d = 0; d < n; d++) for (let t = 0; t < 24; t++) {
    const kind = HOUR_STATES[hours[d * 24 + t]]?.[0];
    if (!kind) continue;
    const x = left + d * size, y = t * tall, w = size - (size > 3 ? 1 : 0), k = tall - 1;
    c.globalAlpha = kind === "s-complete" ? 0.3 + 0.7 * (Number(volume[d * 24 + t]) || 0) / most : 1;
    c.fillStyle = get("--h-" + kind.slice(2)); c.fillRect(x, y, w, k);
    c.globalAlpha = 1;
    if (kind === "s-failed" && size > 4) { c.strokeStyle = get("--surface"); c.lineWidth = 1.4; c.beginPath(); c.moveTo(x + 2, y + 1); c.lineTo(x + w - 2, y + k - 1); c.moveTo(x + w - 2, y + 1); c.lineTo(x + 2, y + k - 1); c.stroke(); }
  }
  let at = hours.length - 1;
  const tell = (i, clientX, clientY, loud) => {
    at = Math.min(Math.max(i, 0), hours.length - 1);
    const text = HOUR_STATES[hours[at]]?.[1] || "", when = hourText(ledgerDay(a) + at * 3600000) + " UTC";
    const area = canvas.getBoundingClientRect();
    showTip(h("div", {}, h("strong", {}, when), h("div", {}, text), volume[at] > "0" ? h("div", { class: "small" }, "about " + compact.format(10 ** (Number(volume[at]) - 1)) + " lines or more") : ""), clientX ?? area.left + left + Math.floor(at / 24) * size, clientY ?? area.top + (at % 24) * tall);
    if (loud) byId("live").textContent = `${when}: ${text}`;
  };
  return fill(canvas, { onpointermove: (e) => { const area = canvas.getBoundingClientRect(), d = Math.floor((e.clientX - area.left - left) / size), t = Math.floor((e.clientY - area.top) / tall); if (d >= 0 && d < n && t < 24) tell(d * 24 + t, e.clientX, e.clientY); else hideTip(); },
    onpointerleave: hideTip, onblur: hideTip,
    onkeydown: (e) => { const move = { ArrowUp: at - 1, ArrowDown: at + 1, ArrowLeft: at - 24, ArrowRight: at + 24, Home: 0, End: hours.length - 1 }[e.key]; if (e.key === "Escape") hideTip(); if (move !== undefined) { e.preventDefault(); tell(move, null, null, true); } } }, []);
}

function accounting(mine, a, b) {
  const sum = (v) => v.slice(a, b + 1).reduce((t, x) => t + (x || 0), 0);
  const found = mine.map((x) => ({ source: x.source, studio: wholeName(studioName(x.studio)), lines: sum(x.lines), rows: sum(x.rows), quarantined: sum(x.quarantined), duplicates: sum(x.duplicates), left_out: sum(x.left_out), suppressed: sum(x.suppressed), sealed: sum(x.sealed) })).map((r) => ({ ...r, quarantined_share: r.lines ? r.quarantined / r.lines : null }));
  return dataTable("hour_ledger", found, [{ name: "source" }, { name: "studio" }, { name: "lines" }, { name: "rows" }, { name: "quarantined" }, { name: "quarantined_share", unit: "share" }, { name: "duplicates" }, { name: "left_out" }, { name: "suppressed" }, { name: "sealed" }], { limit: 12 });
}

function publications() {
  const found = rows("publications");
  if (!found) return notYet("What is published", "publications");
  const last = new Map();
  for (const r of found) if (!last.has(r.table) || last.get(r.table).published_at <= r.published_at) last.set(r.table, r);
  return dataTable("publications", [...last.values()].sort((p, q) => (p.table < q.table ? -1 : 1)), [{ name: "table" }, { name: "delta_version" }, { name: "complete_through" }, { name: "published_at" }], { limit: 10 });
}

function restatements() {
  const found = rows("kpi_restatements");
  if (!found) return notYet("The log of restatements", "kpi_restatements");
  const mine = found.filter((r) => (state.studio === "all" || r.studio === state.studio) && (state.game === "all" || r.game === state.game) && r.platform === state.platform);
  if (!mine.length) return nothing("No figure that had been published as complete was changed in this selection.");
  const unit = (r) => core.kpis[r.kpi]?.unit || "number";
  const told = mine.map((r) => ({ ...r, studio: wholeName(grainName(r.studio, r.game)) }));
  return dataTable("kpi_restatements", told, [{ name: "restated_at" }, { name: "kpi", cell: (r) => core.kpis[r.kpi] ? term(r.kpi) : r.kpi }, { name: "period" }, { name: "studio" }, { name: "old_value", cell: (r) => show(r.old_value, unit(r), true) }, { name: "new_value", cell: (r) => show(r.new_value, unit(r), true) }, { name: "caused_by_hours" }], { limit: 10 });
}

function coverage() {
  const found = rows("kpi_coverage");
  if (!found) return notYet("Coverage", "kpi_coverage");
  const mine = found.filter((r) => r.platform === state.platform && (state.studio === "all" || r.studio === state.studio) && r.game !== "all" && (state.game === "all" || r.game === state.game));
  const games = [...new Set(mine.map((r) => grainKey(r.studio, r.game)))].slice(0, 60), order = Object.keys(core.kpis), kpis = [...new Set(mine.map((r) => r.kpi))].sort((p, q) => order.indexOf(p) - order.indexOf(q));
  const at = new Map(mine.map((r) => [r.kpi + "\u0000" + grainKey(r.studio, r.game), r]));
  if (!games.length) return nothing("No game in this selection.");
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Coverage" }, h("table", { class: "coverage" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "KPI"), games.map((g) => h("th", { scope: "col" }, named(gameName(...g.split("\u0000"))))))),
    h("tbody", {}, kpis.map((k) => h("tr", {}, h("th", { scope: "row" }, core.kpis[k] ? term(k) : k), games.map((g) => {
      const r = at.get(k + "\u0000" + g);
      return !r ? h("td", {}, "") : h("td", { class: r.is_available ? "yes" : "no", title: r.is_available ? "since " + r.available_since : "missing: " + r.missing }, r.is_available ? "✓" : "– " + r.missing);
    }))))));
}
