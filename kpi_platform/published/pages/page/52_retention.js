// Retention: curves over the days since a player's first, and cohorts as a heat map.
function retentionOf(studio, game, day, kind, a, b, upTo = day) {
  const found = grain(retention, studio, game);
  if (!found) return null;
  const sizes = found.values("cohort_size"), kept = found.values(`${kind}_${day}`);
  if (!kept) return null;
  const reached = found.values(`${kind}_${upTo}`) || kept;
  let size = 0, sum = 0;
  for (let i = a; i <= b; i++) if ((reached[i] ?? null) !== null && kept[i] !== null && kept[i] !== undefined) { size += sizes[i] || 0; sum += kept[i]; }
  return size ? { share: sum / size, size } : null;
}

const FEWEST = 30;

function retentionView() {
  const head = viewHead("Retention", "Of the players who were new on a day, the share that came back. A day that is not over has no figure yet, which is not the same as nobody.");
  if (!retention) return [head, notYet("Retention", "kpi_retention")];
  const [a, b] = period(), kind = state.retention;
  const lines = [[state.studio, state.game], ...(state.game !== "all" ? [] : state.studio === "all" ? core.studios.map((x) => [x.key, "all"])
    : (core.studios.find((x) => x.key === state.studio)?.games || []).map((g) => [state.studio, g.key]))];
  // Young cohorts have a day 1 and no day 30: to compare days, the same cohorts must be behind both.
  const same = state.cohorts === "same", shared = Math.max(0, ...retention.horizons.filter((n) => retentionOf(state.studio, state.game, n, kind, a, b)));
  const days = same ? retention.horizons.filter((n) => n <= shared) : retention.horizons;
  const series = lines.map(([studio, game]) => ({ name: grainName(studio, game),
    points: days.map((n) => [n, retentionOf(studio, game, n, kind, a, b, same ? shared : n)]).filter(([, v]) => v) })).filter((x) => x.points.length);
  // A curve of a handful of players says nothing; the table still has them.
  const drawn = series.filter((x, i) => !i || x.points[0][1].size >= FEWEST).slice(0, 8);
  return [head,
    h("div", { class: "row controls" }, select("Counted as back", kind, [["classic", "on exactly day N (classic)"], ["rolling", "on day N or later (rolling)"]], (v) => choose({ retention: v }), { id: "r-kind" }),
      select("Cohorts", state.cohorts, [["all", "all that have reached the day"], ["same", "the same at every day"]], (v) => choose({ cohorts: v }), { id: "r-cohorts" })),
    card("Curves", h("p", { class: "small" }, `${same ? `The cohorts of the period whose day ${shared} is over, at every day,` : "At each day all cohorts of the period that have reached it,"} weighted by their size.${same ? "" : " Later days rest on fewer, older cohorts, so a curve may rise; “the same at every day” compares like with like."} Lines are drawn from ${FEWEST} new players on${drawn.length < series.length ? `; ${series.length - drawn.length} more in the table` : ""}.`), series.length ? retentionCurves(drawn) : nothing("No cohort of the period has reached day 1."),
      series.length ? curveTable(series) : ""),
    card("Cohorts", cohortHeat(a, b, kind))];
}

function retentionCurves(series) {
  const wide = fitting(980), height = 300, box = { left: 52, right: Math.min(170, wide * 0.38), top: 12, bottom: 30 };
  const days = [0, ...retention.horizons], last = Math.sqrt(days[days.length - 1]);
  const x = (n) => box.left + (Math.sqrt(n) / last) * (wide - box.left - box.right), y = (v) => box.top + (1 - v) * (height - box.top - box.bottom);
  const root = s("svg", { viewBox: `0 0 ${wide} ${height}`, class: "chart", role: "img", tabindex: "0", "aria-label": "Retention curves. Arrow keys read the values." });
  for (const t of [0, 0.25, 0.5, 0.75, 1]) root.append(s("line", { class: "grid", x1: box.left, x2: wide - box.right, y1: y(t), y2: y(t) }), s("text", { class: "tick", x: box.left - 6, y: y(t) + 3.5, "text-anchor": "end" }, t * 100 + " %"));
  for (const n of days) root.append(s("text", { class: "tick", x: x(n), y: height - 10, "text-anchor": "middle" }, "day " + n));
  series.forEach((one, k) => {
    const all = [[0, { share: 1 }], ...one.points];
    root.append(s("path", { class: "line", d: all.map(([n, v], i) => (i ? "L" : "M") + x(n) + " " + y(v.share)).join(""), style: { stroke: color(k), strokeWidth: k ? 1.8 : 3 } }),
      ...all.map(([n, v]) => s("path", { d: MARKS[k % 4], class: "dot", transform: `translate(${x(n)} ${y(v.share)})`, style: { fill: color(k), stroke: color(k) } })));
  });
  endLabels(root, series.map((one, k) => ({ name: one.name, color: k, values: [one.points[one.points.length - 1][1].share] })), y, wide - box.right + 10, height - box.bottom, box.right - 10);
  return walkable(root, { n: days.length, x: (i) => x(days[i]), top: box.top, bottom: height - box.bottom, wide, left: box.left, right: wide - box.right,
    text: (i) => ["Day " + days[i], ...series.map((one, k) => { const v = i ? one.points.find(([n]) => n === days[i])?.[1] : { share: 1 };
      return { color: color(k), name: one.name, value: show(v?.share, "share"), note: v?.size ? `of ${whole.format(v.size)}` : "" }; })] });
}

const curveTable = (series) => h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Retention as a table" }, h("table", {},
  h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Of"), retention.horizons.map((n) => h("th", { scope: "col", class: "num" }, `Day ${n}`)))),
  h("tbody", {}, series.map((one) => h("tr", {}, h("th", { scope: "row" }, named(one.name)), retention.horizons.map((n) => {
    const v = one.points.find(([m]) => m === n)?.[1];
    return h("td", { class: "num" }, v ? [show(v.share, "share"), h("span", { class: "small" }, ` of ${whole.format(v.size)}`)] : "–");
  }))))));

function cohortHeat(a, b, kind) {
  const found = grain(retention, state.studio, state.game);
  if (!found) return nothing("No new players in this selection.");
  const weekly = b - a + 1 > 35, groups = [];
  for (let i = b; i >= a; i -= weekly ? 7 : 1) groups.push([weekly ? Math.max(a, i - 6) : i, i]);
  const sizes = found.values("cohort_size");
  const lines = groups.map(([p, q]) => ({ p, q, size: sizes.slice(p, q + 1).reduce((sum, v) => sum + (v || 0), 0),
    shares: retention.horizons.map((n) => retentionOf(state.studio, state.game, n, kind, p, q)),
    open: [...found.complete.slice(p, q + 1)].includes("0") })).filter((l) => l.size);
  if (!lines.length) return nothing("No new players in this period.");
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Cohorts" }, h("table", { class: "heat" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, weekly ? "First active in the week to" : "First active on"), h("th", { scope: "col", class: "num" }, "New players"), retention.horizons.map((n) => h("th", { scope: "col" }, "Day " + n)))),
    h("tbody", {}, lines.map((l) => h("tr", {}, h("th", { scope: "row" }, shortDay.format(dayAt(l.q))), h("td", { class: "num" }, whole.format(l.size)), l.shares.map((v) => heatCell(v?.share, v ? `${show(v.share, "share")} of ${whole.format(v.size)}` : "not over yet")))))));
}

function heatCell(share, title) {
  if (share === undefined || share === null) return h("td", { class: "heat-none", title }, "·");
  const depth = Math.round(Math.min(1, share) * 92) + 4;
  return h("td", { class: "heat-cell" + (depth > 76 ? " deep" : depth > 58 ? " mid" : ""), title, style: { background: `color-mix(in oklab, var(--heat) ${depth}%, var(--surface))` } }, show(share, "share"));
}
