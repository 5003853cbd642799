// Making elements, numbers and dates as text. Text from data only ever becomes text nodes.
const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(node.style, value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}
const h = (tag, props, ...children) => fill(document.createElement(tag), props, children);
const s = (tag, props, ...children) => fill(document.createElementNS(SVG, tag), props, children);

// Names come from clients: marks that turn a line round are taken out, what is long is cut, and what
// is not plain Latin is set apart, so that its direction stays its own. The whole name is on hover.
const NAME_LENGTH = 40, wholeNames = new Map();
function safe(name) {
  if (name.length <= NAME_LENGTH && /^[\x20-\x7e]*$/.test(name)) return name;
  const clean = [...name.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "")];
  const shown = "\u2068" + (clean.length > NAME_LENGTH ? clean.slice(0, NAME_LENGTH - 1).join("") + "…" : clean.join("")) + "\u2069";
  wholeNames.set(shown, clean.join(""));
  return shown;
}
const wholeName = (name) => wholeNames.get(name) || name;
const named = (name) => h("bdi", { title: wholeNames.get(name) || null }, name);
const safeRow = (row) => Object.fromEntries(Object.entries(row).map(([k, v]) => [k, typeof v === "string" ? safe(v) : v]));

const DAY = 86400000;
const isoDay = (ms) => new Date(ms).toISOString().slice(0, 10);
const parseDay = (text) => Date.parse(text + "T00:00:00Z");
const shortDay = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const yearDay = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
const longDay = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
const hourText = (ms) => new Date(ms).toISOString().slice(0, 16).replace("T", " ");

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });
const decimals = (n) => new Intl.NumberFormat("en-US", { minimumFractionDigits: n, maximumFractionDigits: n });
const d1 = decimals(1), d2 = decimals(2);

function duration(seconds) {
  const abs = Math.abs(seconds);
  if (abs < 60) return d1.format(seconds) + " s";
  if (abs < 7200) return d1.format(seconds / 60) + " min";
  return (abs < 360000 ? d1 : compact).format(seconds / 3600) + " h";
}

// A value in its unit; `exact` writes it out, otherwise large numbers are shortened.
function show(value, unit, exact) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "number") return String(value);
  const abs = Math.abs(value);
  switch (unit) {
    case "share": return d1.format(value * 100) + " %";
    case "usd": return (value < 0 ? "−$" : "$") + (abs < 100 || (exact && abs < 1e6) ? d2.format(abs) : exact || abs < 10000 ? whole.format(abs) : compact.format(abs));
    case "seconds": return duration(value);
    case "hours": return (abs < 10000 || exact ? d1 : compact).format(value) + " h";
    case "points": return (value > 0 ? "+" : value < 0 ? "−" : "") + d1.format(Math.abs(value) * 100) + " points";
    case "days": return d1.format(value) + " d";
    case "ratio": return d2.format(value);
    default:
      if (!Number.isInteger(value)) return abs < 10000 || exact ? new Intl.NumberFormat("en-US", { maximumFractionDigits: abs < 10 ? 2 : 1 }).format(value) : compact.format(value);
      return exact || abs < 10000 ? whole.format(value) : compact.format(value);
  }
}
