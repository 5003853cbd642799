// What is chosen: kept in the address, so that a view can be bookmarked and sent to somebody.
const DEFAULTS = { view: "overview", studio: "all", game: "all", platform: "all", days: "28", from: "", to: "",
  provisional: "", kpi: "dau", by: "none", scale: "auto", retention: "classic", cohorts: "all", service: "", since: "", cutoff: "", source: "", sort: "", q: "" };
const state = { ...DEFAULTS };

function readState() {
  const found = new URLSearchParams(location.hash.slice(1));
  for (const key of Object.keys(DEFAULTS)) state[key] = found.get(key) ?? DEFAULTS[key];
  const known = core.studios.find((x) => x.key === state.studio);
  if (!known) state.studio = "all";
  if (state.game !== "all" && !core.studios.some((x) =>
    (state.studio === "all" || x.key === state.studio) && x.games.some((g) => g.key === state.game))) state.game = "all";
  // A game is a studio's: without one, its key may be another's.
  if (state.game !== "all" && state.studio === "all") state.studio = core.studios.find((x) => x.games.some((g) => g.key === state.game)).key;
  if (!core.platforms.includes(state.platform)) state.platform = "all";
  if (!VIEWS[state.view]) state.view = "overview";
}

async function choose(changes) {
  const platformWas = state.platform;
  Object.assign(state, changes);
  if (changes.studio === "all" && !("game" in changes)) state.game = "all";
  if (state.game !== "all" && "studio" in changes && !("game" in changes)) {
    const studio = core.studios.find((x) => x.key === state.studio);
    if (state.studio !== "all" && !studio?.games.some((g) => g.key === state.game)) state.game = "all";
  }
  if (state.game !== "all" && state.studio === "all") {
    state.studio = core.studios.find((x) => x.games.some((g) => g.key === state.game))?.key || "all";
  }
  const shown = new URLSearchParams(Object.entries(state).filter(([k, v]) => v !== DEFAULTS[k]));
  history.replaceState(null, "", "#" + shown);
  if (state.platform !== platformWas) await loadPlatform(state.platform);
  render();
}

// The chosen days as indices into the daily series, both included.
function period() {
  const last = core.days - 1, first = core.first_day;
  if (state.days === "custom") {
    const at = (text, fallback) => {
      const i = Math.round((parseDay(text) - parseDay(first)) / DAY);
      return Number.isFinite(i) ? Math.min(Math.max(i, 0), last) : fallback;
    };
    const a = at(state.from, 0), b = at(state.to, last);
    return a <= b ? [a, b] : [b, a];
  }
  if (state.days === "all") return [0, last];
  return [Math.max(0, last - Number(state.days) + 1), last];
}
const dayAt = (i) => parseDay(core.first_day) + i * DAY;

function select(label, value, options, onChange, props) {
  const box = h("select", { onchange: (e) => onChange(e.target.value), ...props },
    options.map(([key, text]) => h("option", { value: key, selected: key === value }, text)));
  return h("label", { class: "field" }, h("span", {}, label), box);
}

// A game's key, with its studio where another studio on offer has one of the same key.
const gameOption = (studio, game) => state.studio === "all" && core.studios.filter((x) => x.games.some((g) => g.key === game)).length > 1 ? grainKey(studio, game) : game;

function drawFilters() {
  const focused = document.activeElement?.id;
  const games = core.studios.filter((x) => state.studio === "all" || x.key === state.studio)
    .flatMap((x) => x.games.map((g) => [gameOption(x.key, g.key), gameName(x.key, g.key)]));
  const left = core.platforms_left_out;
  const [a, b] = period();
  const day = (id, label, i, key) => h("label", { class: "field" }, h("span", {}, label),
    h("input", { id, type: "date", value: isoDay(dayAt(i)), min: core.first_day, max: isoDay(dayAt(core.days - 1)),
      onchange: (e) => choose({ days: "custom", [key]: e.target.value, [key === "from" ? "to" : "from"]: isoDay(dayAt(key === "from" ? b : a)) }) }));
  byId("filters").replaceChildren(...[
    select("Studio", state.studio, [["all", "All studios"], ...core.studios.map((x) => [x.key, studioName(x.key)])],
      (v) => choose({ studio: v }), { id: "f-studio" }),
    select("Game", state.game === "all" ? "all" : gameOption(state.studio, state.game), [["all", "All games"], ...games], (v) => choose(v.includes("\u0000") ? { studio: v.split("\u0000")[0], game: v.split("\u0000")[1] } : { game: v }), { id: "f-game" }),
    select(left ? `Platform (${core.platforms.length - 1} of ${whole.format(core.platforms.length - 1 + left)})` : "Platform", state.platform, core.platforms.map((p) => [p, platformName(p)]), (v) => choose({ platform: v }), { id: "f-platform" }),
    select("Period", state.days, [["7", "Last 7 days"], ["28", "Last 28 days"], ["90", "Last 90 days"], ["365", "Last 365 days"], ["all", "All days"], ["custom", "From – to"]],
      (v) => choose({ days: v, from: v === "custom" ? isoDay(dayAt(a)) : "", to: v === "custom" ? isoDay(dayAt(b)) : "" }), { id: "f-days" }),
    state.days === "custom" ? [day("f-from", "From", a, "from"), day("f-to", "To", b, "to")] : [],
    h("label", { class: "check" }, h("input", { id: "f-provisional", type: "checkbox", checked: !!state.provisional,
      onchange: (e) => choose({ provisional: e.target.checked ? "1" : "" }) }), "count provisional days"),
    h("button", { type: "button", class: "tool", id: "f-reset", onclick: () => choose({ ...DEFAULTS, view: state.view }) }, "Reset")].flat());
  if (focused) byId(focused)?.focus();
}
