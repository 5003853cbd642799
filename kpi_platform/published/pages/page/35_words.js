// Definitions on hover and focus, tables with headings that explain themselves, empty states.
function showTip(content, x, y) {
  const tip = byId("tip");
  tip.replaceChildren(content);
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = Math.max(8, Math.min(x + 14, innerWidth - width - 8)) + "px";
  tip.style.top = (y + 18 + height > innerHeight ? Math.max(8, y - height - 12) : y + 18) + "px";
}
const hideTip = () => { byId("tip").hidden = true; };

function explained(node, content) {
  const open = () => { const area = node.getBoundingClientRect(); showTip(content(), area.left - 10, area.bottom - 12); };
  return fill(node, { onmouseenter: open, onmouseleave: hideTip, onfocus: open, onblur: hideTip,
    onkeydown: (e) => { if (e.key === "Escape") hideTip(); }, "aria-describedby": "tip" }, []);
}

function kpiTip(kpi) {
  const rule = core.kpis[kpi];
  return h("div", { class: "definition" }, h("strong", {}, rule.label), h("p", {}, rule.sentence),
    rule.formula ? h("p", { class: "formula" }, rule.formula) : "",
    h("p", { class: "small" }, [rule.unit_text, rule.definition_version ? "definition " + rule.definition_version : "", rule.source].filter(Boolean).join(" · ")));
}
const term = (kpi, text) => explained(h("button", { type: "button", class: "term" }, text || core.kpis[kpi].label), () => kpiTip(kpi));

const spoken = (name) => name.replace(/_usd$/, " (USD)").replace(/_seconds$/, "").replaceAll("_", " ").replace(/\b(d1|d7|d30|dau|wau|mau|arpdau)\b/g, (x) => x.toUpperCase()).replace(/ 7d\b/, ", 7 days").replace(/^./, (c) => c.toUpperCase());
function columnTerm(table, column, label) {
  const sentence = core.columns[table]?.[column];
  const text = label || spoken(column);
  return sentence ? explained(h("button", { type: "button", class: "term" }, text), () => h("div", { class: "definition" }, h("strong", {}, spoken(column)), h("p", {}, sentence))) : h("span", {}, text);
}

function unitOf(column) {
  if (/_usd(_low|_high)?$/.test(column)) return "usd";
  if (/_seconds$/.test(column)) return "seconds";
  if (/^hours_|_hours$/.test(column)) return "hours";
  if (/_change(_|$)|^concern|^retention_.*_difference/.test(column)) return "points";
  if (/(^|_)(share|retention|churn|rate|stickiness)(_|$)/.test(column)) return "share";
  if (/^correlation$/.test(column)) return "ratio";
  return "number";
}

const notYet = (what, table) => h("p", { class: "empty" }, `${what} is not available yet: the table ${table} has not been published.`);
const nothing = (what) => h("p", { class: "empty" }, what);

const card = (title, ...children) => h("section", { class: "card" }, h("h3", {}, title), ...children);
function viewHead(title, sentence) {
  const parts = [studioName(state.studio)];
  if (state.game !== "all") parts.push(gameName(state.studio, state.game));
  parts.push(platformName(state.platform));
  const [a, b] = period(), day = isoDay(dayAt(a)).slice(0, 4) === isoDay(dayAt(b)).slice(0, 4) ? shortDay : yearDay;
  return h("div", { class: "view-head" }, h("h2", {}, title),
    h("p", { class: "chosen" }, parts.map((x) => [named(x), " · "]), day.format(dayAt(a)) + " – " + day.format(dayAt(b)) + (b - a ? ` (${b - a + 1} days)` : "")),
    sentence ? h("p", { class: "lead" }, sentence) : "");
}

// columns: [{name, label, unit, interval, cell}]; the first stays in sight. Headings sort.
function dataTable(table, found, columns, options = {}) {
  const limit = options.limit || 12, id = "t-" + table + (options.id || "");
  // One scale per column and, where a column holds several measures, per measure. Samples too small
  // for a verdict do not stretch it: their intervals run out of the picture.
  const scales = new Map(), kindOf = (r, c) => c.name + (c.scaleBy ? "\u0000" + r[c.scaleBy] : "");
  const scaleOf = (r, c) => {
    const kind = kindOf(r, c);
    if (!scales.has(kind)) {
      const alike = found.filter((o) => kindOf(o, c) === kind), solid = alike.filter((o) => options.rowClass?.(o) !== "thin");
      const bounds = (solid.length ? solid : alike).flatMap((o) => [o[c.name], o[c.name + "_low"], o[c.name + "_high"]]);
      const all = [...bounds, ...alike.map((o) => o[c.name])].filter((v) => typeof v === "number");
      scales.set(kind, [Math.min(0, ...all), Math.max(...all, 0) || 1]);
    }
    return scales.get(kind);
  };
  let sort = null, all = false;
  const box = h("div", { class: "scroll", id, tabindex: "0", role: "region", "aria-label": options.title || spoken(table) });
  const cell = (r, c) => {
    const unit = typeof c.unit === "function" ? c.unit(r) : c.unit || unitOf(c.name);
    if (c.cell) return c.cell(safeRow(r));
    if (typeof r[c.name] === "string") return named(safe(r[c.name]));
    const text = show(r[c.name], unit, true);
    if (!c.interval || r[c.name] === null || r[c.name] === undefined) return text;
    const low = r[c.name + "_low"], high = r[c.name + "_high"];
    const range = low === null || low === undefined ? "" : `${show(low, unit)} to ${show(high, unit)}`;
    return [h("span", { class: "value", title: range ? `95 %: ${range}` : "" }, text), intervalBar(r[c.name], low, high, scaleOf(r, c)), h("span", { class: "sr" }, range ? ` (95 %: ${range})` : "")];
  };
  const draw = () => {
    const sorted = sort === null ? found : [...found].sort((p, q) => {
      const u = p[sort.name], v = q[sort.name], none = (x) => x === null || x === undefined;
      if (none(u) || none(v)) return none(u) - none(v);
      return (u < v ? -1 : u > v ? 1 : 0) * sort.way;
    });
    box.replaceChildren(h("table", {},
      h("thead", {}, h("tr", {}, columns.map((c) => h("th", { scope: "col", class: isNumber(c, found) ? "num" : "", "aria-sort": sort?.name === c.name ? (sort.way > 0 ? "ascending" : "descending") : null },
        columnTerm(table, c.name, c.label), h("button", { type: "button", class: "sorter", "aria-label": "Sort by " + (c.label || spoken(c.name)),
          onclick: () => { sort = { name: c.name, way: sort?.name === c.name ? -sort.way : -1 }; draw(); box.querySelectorAll(".sorter")[columns.indexOf(c)].focus(); } },
        sort?.name === c.name ? (sort.way > 0 ? "▲" : "▼") : "↕"))))),
      h("tbody", {}, sorted.slice(0, all || printing ? undefined : limit).map((r) => h("tr", { class: options.rowClass?.(r) || "" }, columns.map((c, i) =>
        h(i ? "td" : "th", { scope: i ? null : "row", class: [isNumber(c, found) ? "num" : "", c.interval ? "with-interval" : ""].join(" ") }, cell(r, c))))))),
    found.length > limit ? h("button", { type: "button", class: "tool more", onclick: () => { all = !all; draw(); box.querySelector(".more").focus(); } }, all ? "Show fewer" : `Show all ${found.length}`) : "",
      core.tables[table]?.left_out ? h("p", { class: "small" }, `${whole.format(core.tables[table].left_out)} more rows are in the table published/${table}: this page has those with the most players.`) : "");
  };
  draw();
  redraws.push(draw);
  return box;
}
// On paper nobody can ask for the rest of a table.
let redraws = [], printing = false;
function forPaper(is) {
  if (printing === is) return;
  printing = is;
  for (const draw of redraws) draw();
}
const isNumber = (c, found) => !c.cell && found.some((r) => typeof r[c.name] === "number");
