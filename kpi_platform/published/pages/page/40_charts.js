// Charts as SVG: lines with provisional parts marked, stacked areas, intervals. Each has a tooltip,
// can be walked through with the arrow keys, and says its values to screen readers.
const WIDTH = 640;
// On a narrow screen a chart is drawn narrower, not smaller: its words stay readable.
const fitting = (wide) => Math.max(300, Math.min(wide, innerWidth - 60));
const color = (i) => `var(--c${i % 8})`;
const DASHES = ["", "7 3", "2 3", "9 3 2 3"]; // With shapes beside colours, lines differ in print too.
const MARKS = ["M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0", "M-3-3h6v6h-6z", "M0-4l4 7h-8z", "M0-4l4 4l-4 4l-4-4z"];

// Where the lines of a scale lie: at whole minutes, hours or days for times.
function ticks(low, high, count, unit) {
  const measure = unit !== "seconds" || high < 120 ? 1 : high < 7200 ? 60 : 3600;
  if (measure > 1) return ticks(low / measure, high / measure, count).map((t) => t * measure);
  const span = high - low || 1, raw = span / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((x) => x >= raw);
  const found = [];
  for (let t = Math.ceil(low / step) * step; t <= high + step * 1e-9; t += step) found.push(Math.abs(t) < step / 1e6 ? 0 : t);
  return found;
}

// A value at a scale: as short as it can be said.
function axis(value, unit) {
  return show(value, unit).replace(unit === "usd" ? /\.00$/ : /\.0+(?=\D*$)|(?<=\.[1-9])0+(?=\D*$)/, "");
}

function extent(series, unit) {
  const all = series.flatMap((x) => x.values).filter((v) => v !== null && v !== undefined);
  if (!all.length) return [0, 1];
  let low = Math.min(...all), high = Math.max(...all);
  if (unit === "share" && low > 0.5) { low = Math.max(0, low - (1 - low) * 0.6 - 0.02); high = Math.min(1, high + 0.02); } else low = Math.min(0, low);
  if (high === low) high = low + 1;
  return [low, high + (high - low) * (unit === "share" ? 0 : 0.06)];
}

// series: [{name, values, complete}], times: ms of each value. options: unit, height, title, hourly, labels.
function lineChart(series, times, options) {
  if (!series.some((one) => one.values.some((v) => v !== null && v !== undefined))) return nothing("No value yet: its days are not over, or nothing happened.");
  const { unit, title, height = 240, hourly: byHour = false } = options, wide = fitting(options.wide || WIDTH);
  const n = times.length, labelled = series.length > 1;
  const box = { left: 52, right: labelled ? Math.min(144, wide * 0.34) : 16, top: 12, bottom: 26 };
  const [low, high] = extent(series, unit);
  const inner = wide - box.left - box.right;
  const x = (i) => box.left + (n < 2 ? inner / 2 : (i / (n - 1)) * inner);
  const y = (v) => box.top + (1 - (v - low) / (high - low)) * (height - box.top - box.bottom);
  const root = s("svg", { viewBox: `0 0 ${wide} ${height}`, class: "chart", role: "img", tabindex: "0",
    "aria-label": title + ". Arrow keys read the values." });
  for (const t of ticks(low, high, 4, unit)) root.append(
    s("line", { class: "grid", x1: box.left, x2: wide - box.right, y1: y(t), y2: y(t) }),
    s("text", { class: "tick", x: box.left - 6, y: y(t) + 3.5, "text-anchor": "end" }, axis(t, unit)));
  provisionalBands(root, series, x, n, box, height, wide);
  timeAxis(root, times, x, inner, height - 8, byHour);
  series.forEach((one, k) => drawLine(root, one, k, x, y, n));
  if (labelled) endLabels(root, series, y, wide - box.right + 8, height - box.bottom, box.right - 8);
  return walkable(root, { n, x, top: box.top, bottom: height - box.bottom, wide, left: box.left, right: wide - box.right,
    text: (i) => [byHour ? hourText(times[i]) + " UTC" : longDay.format(times[i]),
      ...series.map((one, k) => ({ color: color(one.color ?? k), mark: one.color ?? k, name: one.name, value: show(one.values[i], unit, true), note: one.complete && one.complete[i] === "0" ? "provisional" : "" }))] });
}

function provisionalBands(root, series, x, n, box, height, wide) {
  const half = n > 1 ? (x(1) - x(0)) / 2 : 20;
  const is = (i) => series.some((one) => one.complete && one.complete[i] === "0");
  for (let i = 0; i < n; i++) if (is(i) && (i === 0 || !is(i - 1))) {
    let j = i;
    while (j + 1 < n && is(j + 1)) j++;
    const from = Math.max(box.left, x(i) - half);
    root.append(s("rect", { class: "provisional", x: from, y: box.top, width: Math.max(2, Math.min(x(j) + half, x(n - 1) + 6) - from), height: height - box.top - box.bottom }));
    if (wide > 500 && (x(j) - from > 50 || j === n - 1)) root.append(s("text", { class: "tick note", x: Math.min(x(j) + half, x(n - 1)) - 2, y: box.top + 9, "text-anchor": "end" }, "provisional"));
  }
}

function drawLine(root, one, k, x, y, n) {
  const tone = color(one.color ?? k), few = n <= 31;
  for (const provisional of [false, true]) {
    let path = "", open = false;
    for (let i = 0; i < n; i++) {
      const v = one.values[i], here = one.complete && one.complete[i] === "0";
      // A provisional piece begins at the last complete point, so that the line does not break.
      const belongs = v !== null && v !== undefined && (provisional ? here || (one.complete && one.complete[i + 1] === "0") : !here);
      if (belongs) path += (open ? "L" : "M") + x(i).toFixed(1) + " " + y(v).toFixed(1);
      open = belongs;
    }
    if (path) root.append(s("path", { d: path, class: provisional ? "line dashed" : "line", style: { stroke: tone, strokeDasharray: provisional ? "3 3" : DASHES[Math.floor((one.color ?? k) / 8) % 4] } }));
  }
  for (let i = 0; i < n; i++) {
    const v = one.values[i];
    if (v === null || v === undefined) continue;
    const alone = (one.values[i - 1] ?? null) === null && (one.values[i + 1] ?? null) === null;
    if (few || alone) root.append(s("path", { d: MARKS[(one.color ?? k) % 4], class: one.complete && one.complete[i] === "0" ? "dot hollow" : "dot",
      transform: `translate(${x(i).toFixed(1)} ${y(v).toFixed(1)})`, style: { stroke: tone, fill: tone } }));
  }
}

// Days, or hours at whole steps of the clock: midnight is named by its day. A label has room for itself.
const HOUR_STEPS = [1, 2, 3, 6, 12, 24, 48, 72, 168];
function timeAxis(root, times, x, inner, at, byHour) {
  const n = times.length, put = (i, text) => root.append(s("text", { class: "tick", x: x(i), y: at, "text-anchor": "middle" }, text));
  const most = Math.max(1, Math.floor(inner / 64));
  if (!byHour) {
    const every = Math.max(1, Math.ceil(n / most));
    for (let i = n - 1; i >= 0; i -= every) put(i, shortDay.format(times[i]));
    return;
  }
  const every = HOUR_STEPS.find((step) => n / step <= most) || Math.ceil(n / most / 24) * 24;
  times.forEach((ms, i) => {
    const hour = Math.round(ms / 3600000);
    if (hour % every === 0) put(i, hour % 24 === 0 ? shortDay.format(ms) : hourText(ms).slice(11));
  });
}

// Places near the wanted ones, in their order, at least `gap` apart and between top and bottom.
function spread(wanted, top, bottom, gap) {
  const places = [...wanted];
  for (let i = 0; i < places.length; i++) places[i] = Math.max(places[i], i ? places[i - 1] + gap : top);
  for (let i = places.length - 1; i >= 0; i--) places[i] = Math.min(places[i], i < places.length - 1 ? places[i + 1] - gap : bottom);
  return places;
}

// The names at the ends of their lines. Names that would lie on each other are moved apart, each with
// a thread to its line; of more than there is room for, the first (largest) are named.
const LABEL_GAP = 14;
function endLabels(root, series, y, left, bottom, room = 136, top = 16) {
  const most = Math.max(6, Math.floor((room - 18) / 6.4)), fit = Math.floor((bottom - top) / LABEL_GAP) + 1;
  const all = series.map((one, k) => {
    const last = [...one.values].reverse().find((v) => v !== null && v !== undefined);
    return { k: one.color ?? k, name: one.name, y: last === undefined ? null : y(last) };
  }).filter((label) => label.y !== null);
  const found = all.slice(0, all.length > fit ? fit - 1 : fit).sort((a, b) => a.y - b.y);
  const more = all.length - found.length, places = spread(found.map((label) => label.y), top, bottom - (more ? LABEL_GAP : 0), LABEL_GAP);
  found.forEach((label, i) => {
    const at = places[i], letters = [...label.name], shown = letters.length > most ? letters.slice(0, most - 1).join("") + "…" : label.name;
    if (Math.abs(at - label.y) > 1) root.append(s("path", { class: "thread", d: `M${left - 6} ${label.y.toFixed(1)}L${left + 4} ${at.toFixed(1)}`, style: { stroke: color(label.k) } }));
    root.append(s("path", { d: MARKS[label.k % 4], transform: `translate(${left + 8} ${at})`, style: { fill: color(label.k), stroke: color(label.k) } }),
      s("text", { class: "label", x: left + 16, y: at + 4 }, shown, s("title", {}, wholeName(label.name))));
  });
  if (more) root.append(s("text", { class: "label more-lines", x: left + 16, y: bottom + 4 }, `and ${more} more`));
}

// Pointer and arrow keys move a cursor; what stands there is shown and said.
function walkable(root, { n, x, top, bottom, wide, left, right, text }) {
  const cursor = s("line", { class: "cursor", y1: top, y2: bottom, visibility: "hidden" });
  root.append(cursor);
  let at = n - 1;
  const go = (i, clientX, clientY, spoken) => {
    at = Math.min(Math.max(i, 0), n - 1);
    cursor.setAttribute("x1", x(at)); cursor.setAttribute("x2", x(at)); cursor.setAttribute("visibility", "visible");
    const [head, ...lines] = text(at);
    const area = root.getBoundingClientRect();
    showTip(h("div", {}, h("strong", {}, head), lines.map((l) => h("div", { class: "tip-line" },
      h("span", { class: "key", style: { background: l.color || "transparent" } }), named(l.name), h("b", {}, l.value), l.note ? h("em", {}, l.note) : ""))),
      clientX ?? area.left + (x(at) / wide) * area.width, clientY ?? area.top);
    if (spoken) byId("live").textContent = head + ": " + lines.map((l) => `${l.name} ${l.value} ${l.note || ""}`).join(", ");
  };
  const hide = () => { cursor.setAttribute("visibility", "hidden"); hideTip(); };
  root.addEventListener("pointermove", (e) => {
    const area = root.getBoundingClientRect(), px = ((e.clientX - area.left) / area.width) * wide;
    go(n < 2 ? 0 : Math.round(((px - left) / (right - left)) * (n - 1)), e.clientX, e.clientY);
  });
  root.addEventListener("pointerleave", hide);
  root.addEventListener("blur", hide);
  root.addEventListener("keydown", (e) => {
    const move = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: n - 1, PageUp: at - 7, PageDown: at + 7 }[e.key];
    if (e.key === "Escape") hide();
    if (move !== undefined) { e.preventDefault(); go(move, null, null, true); }
  });
  return root;
}

function sparkline(values, complete) {
  const found = values.filter((v) => v !== null && v !== undefined);
  if (found.length < 2) return h("span", { class: "spark-none" });
  const low = Math.min(0, ...found), high = Math.max(...found), n = values.length;
  const x = (i) => 2 + (i / Math.max(1, n - 1)) * 96, y = (v) => 26 - ((v - low) / (high - low || 1)) * 22;
  const root = s("svg", { viewBox: "0 0 100 30", class: "spark", "aria-hidden": "true", preserveAspectRatio: "none" });
  drawLine(root, { values, complete, color: 0 }, 0, x, y, 1000);
  return root;
}

// A share or mean with its 95 % interval on a common scale.
function intervalBar(value, low, high, scale) {
  if (value === null || value === undefined) return "–";
  const at = (v) => Math.min(100, Math.max(0, ((v - scale[0]) / (scale[1] - scale[0] || 1)) * 100));
  const root = s("svg", { viewBox: "0 0 100 14", class: "interval", "aria-hidden": "true", preserveAspectRatio: "none" });
  if (scale[0] < 0) root.append(s("line", { class: "zero", x1: at(0), x2: at(0), y1: 0, y2: 14 }));
  if (low !== null && low !== undefined) root.append(s("rect", { class: "range", x: at(low), y: 4.5, width: Math.max(0.8, at(high) - at(low)), height: 5, rx: 1 }));
  root.append(s("rect", { class: "point", x: at(value) - 0.9, y: 1.5, width: 1.8, height: 11 }));
  return root;
}

// layers: [{name, values}] of shares that add up to at most 1 per day.
function stackedArea(layers, times, options) {
  const { height = 260, title, notes = [] } = options, wide = fitting(options.wide || WIDTH);
  const n = times.length, box = { left: 46, right: Math.min(130, wide * 0.34), top: 12, bottom: 26 };
  const x = (i) => box.left + (n < 2 ? 0.5 : i / (n - 1)) * (wide - box.left - box.right);
  const y = (v) => box.top + (1 - v) * (height - box.top - box.bottom);
  const root = s("svg", { viewBox: `0 0 ${wide} ${height}`, class: "chart", role: "img", tabindex: "0", "aria-label": title + ". Arrow keys read the values." });
  const below = new Array(n).fill(0), labels = [], inside = [];
  const half = (wide - box.left - box.right) / (n < 2 ? 2 : 4 * (n - 1));
  // Days of which nothing is told are gaps: an area across them would tell of shares that nobody had.
  const told = [];
  for (let i = 0; i < n; i++) if (layers.some((l) => (l.values[i] ?? null) !== null)) {
    if (told.length && told[told.length - 1][1] === i - 1) told[told.length - 1][1] = i; else told.push([i, i]);
  }
  // Layers are named beside the last day of which anything is told.
  const last = told.length ? told[told.length - 1][1] : n - 1;
  layers.forEach((layer, k) => {
    const top = layer.values.map((v, i) => below[i] + (v || 0));
    for (const [from, to] of told) {
      const days = Array.from({ length: to - from + 1 }, (_, i) => from + i), lone = from === to;
      const edge = (values, way) => (lone ? [[from, -half * way], [from, half * way]] : (way > 0 ? days : [...days].reverse()).map((i) => [i, 0]))
        .map(([i, shift]) => `${(x(i) + shift).toFixed(1)},${y(values[i]).toFixed(1)}`);
      root.append(s("polygon", { points: [...edge(top, 1), ...edge(below, -1)].join(" "), class: "area", style: { fill: color(layer.color ?? k) } }));
    }
    labels.push({ name: layer.name, color: layer.color ?? k, mid: (below[last] + top[last]) / 2, size: top[last] - below[last] });
    const widest = top.reduce((best, v, i) => (v - below[i] > top[best] - below[best] ? i : best), 0);
    const inner = told.some(([from, to]) => from < widest && widest < to);
    if (inner && top[widest] - below[widest] > 0.3 && x(1) - x(0) > 9 * layer.name.length / 2) inside.push({ name: layer.name, x: x(widest), y: y((top[widest] + below[widest]) / 2) + 4 });
    top.forEach((v, i) => { below[i] = v; });
  });
  for (const t of [0, 0.25, 0.5, 0.75, 1]) root.append(s("line", { class: t === 0.5 ? "grid half" : "grid over", x1: box.left, x2: wide - box.right, y1: y(t), y2: y(t) }),
    s("text", { class: "tick", x: box.left - 6, y: y(t) + 3.5, "text-anchor": "end" }, t * 100 + " %"));
  const every = Math.max(1, Math.ceil((n * 64) / (wide - box.left - box.right)));
  for (let i = n - 1; i >= 0; i -= every) root.append(s("text", { class: "tick", x: x(i), y: height - 8, "text-anchor": "middle" }, shortDay.format(times[i])));
  for (const note of notes) root.append(s("line", { class: "release", x1: x(note.at), x2: x(note.at), y1: box.top, y2: height - box.bottom }, s("title", {}, note.text)));
  for (const label of inside) root.append(s("text", { class: "label inside", x: label.x, y: label.y, "text-anchor": "middle" }, label.name));
  // The largest layers are named, those that there is room for, from the top of the area down.
  const fit = Math.floor((height - box.top - box.bottom) / LABEL_GAP);
  const shownLabels = labels.filter((l) => l.size > 0.02).sort((p, q) => q.size - p.size).slice(0, fit).sort((p, q) => q.mid - p.mid);
  const places = spread(shownLabels.map((l) => y(l.mid)), box.top + 4, height - box.bottom, LABEL_GAP);
  shownLabels.forEach((label, i) => {
    const at = places[i] + 4, letters = [...label.name], shown = letters.length > 12 ? letters.slice(0, 11).join("") + "…" : label.name;
    root.append(s("rect", { x: wide - box.right + 8, y: at - 8, width: 9, height: 9, rx: 2, style: { fill: color(label.color) } }),
      s("text", { class: "label", x: wide - box.right + 22, y: at }, shown + " · " + show(label.size, "share"), s("title", {}, wholeName(label.name))));
  });
  return walkable(root, { n, x, top: box.top, bottom: height - box.bottom, wide, left: box.left, right: wide - box.right,
    text: (i) => [longDay.format(times[i]), ...layers.map((l, k) => ({ color: color(l.color ?? k), name: l.name, value: show(l.values[i], "share") })).reverse().filter((l) => l.value !== "–" && l.value !== "0.0 %")] });
}
