// The embedded data: gzip blocks decoded when first needed, and the questions asked of them.
const blocks = new Map();
let core, names;

async function block(number) {
  if (!blocks.has(number)) {
    const holder = document.querySelector(`script[data-block="${Number(number)}"]`);
    blocks.set(number, holder ? unpack(holder.textContent.trim()) : Promise.resolve({}));
  }
  return blocks.get(number);
}

async function unpack(base64) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

const grainKey = (studio, game) => studio + "\u0000" + game;

// A series block: {start, step, length, measures: {name: [values of grain 0, of grain 1, ...]}}.
function index(data) {
  if (!data) return null;
  data.at = new Map(data.grains.map(([studio, game], i) => [grainKey(studio, game), i]));
  return data;
}

let daily, hourly, retention;
const feeds = {}; // What console and stream platforms tell, of all platforms.
async function loadPlatform(platform) {
  const data = await block(1 + core.platforms.indexOf(platform));
  daily = index(data.daily); hourly = index(data.hourly); retention = index(data.retention);
  const all = platform === "all" ? data : await block(1);
  feeds.console ??= index(all.console); feeds.stream ??= index(all.stream);
}

function grain(data, studio, game) {
  const i = data ? data.at.get(grainKey(studio, game)) : undefined;
  if (i === undefined) return null;
  const from = i * data.length;
  return {
    studio, game,
    values: (measure) => data.measures[measure] ? data.measures[measure].slice(from, from + data.length) : null,
    complete: data.complete.slice(from, from + data.length), // "1" complete, "0" provisional, " " no row
  };
}

// The value of a KPI over the days a..b (both included). Only complete days count unless asked.
function aggregate(found, kpi, a, b, withProvisional) {
  if (!found || b < a) return null;
  const rule = core.kpis[kpi], values = found.values(kpi);
  if (!values) return null;
  const weights = rule.weight ? found.values(rule.weight) : null;
  let sum = 0, weight = 0, last = null, most = -Infinity;
  for (let i = Math.max(a, 0); i <= b; i++) {
    const value = values[i];
    if (value === null || value === undefined) continue;
    if (!withProvisional && found.complete[i] !== "1") continue;
    const w = weights ? weights[i] || 0 : 1;
    sum += value * w; weight += w; last = value; most = Math.max(most, value);
  }
  if (last === null) return null;
  if (rule.aggregate === "sum") return sum;
  if (rule.aggregate === "last") return last;
  if (rule.aggregate === "max") return most;
  return weight ? sum / weight : null;
}
const AGGREGATES = { sum: "sum of the period", last: "at the end of the period", mean: "mean per day", max: "highest of the period" };
const aggregateText = (rule) => rule.weight ? "over the period" : AGGREGATES[rule.aggregate];

// What a game would have to tell for a KPI and never did; "" if it tells everything, or if nobody knows.
let coverageIndex;
function missing(kpi, studio, game, platform = state.platform) {
  const key = (...parts) => parts.join("\u0000");
  if (!coverageIndex) coverageIndex = new Map((rows("kpi_coverage") || []).filter((r) => !r.is_available).map((r) => [key(r.kpi, r.studio, r.game, r.platform), r.missing]));
  return coverageIndex.get(key(kpi, studio, game, platform)) || coverageIndex.get(key(kpi, studio, game, "all")) || "";
}
// The games of a selection that do not tell a KPI: its total is of the others, or dilutes it.
const silentGames = (kpi) => core.studios.filter((x) => state.studio === "all" || x.key === state.studio)
  .flatMap((x) => x.games.map((g) => [x.key, g.key])).filter(([studio, game]) => missing(kpi, studio, game, "all"));

// A published table as objects; null where it does not exist (yet).
function rows(table) {
  const data = core.tables[table];
  if (!data) return null;
  if (!data.objects) {
    const columns = Object.keys(data.columns);
    data.objects = Array.from({ length: data.length }, (_, i) =>
      Object.fromEntries(columns.map((c) => [c, data.columns[c][i]])));
  }
  return data.objects;
}

function buildNames() {
  names = { studio: new Map([["all", "All studios"]]), game: new Map() };
  const games = core.studios.flatMap((x) => x.games.map((g) => [x, g, safe(g.name || g.key)]));
  const alike = (name) => games.filter(([, , other]) => other === name).length > 1;
  for (const studio of core.studios) names.studio.set(studio.key, safe(studio.name || studio.key));
  // Two studios may have games of one key or name: those say whose they are.
  for (const [studio, game, name] of games) names.game.set(grainKey(studio.key, game.key), alike(name) ? `${name} (${studioName(studio.key)})` : name);
}
const studioName = (key) => names.studio.get(key) || safe(key);
const gameName = (studio, game) => game === "all" ? "All games" : names.game.get(grainKey(studio, game)) || safe(game);
const platformName = (key) => key === "all" ? "All platforms" : core.platform_names[key] || safe(key);
const grainName = (studio, game) => game !== "all" ? gameName(studio, game) : studio !== "all" ? studioName(studio) : "All studios";

// Services of the chosen studio and game; null where services cannot be told apart by studio.
function chosenServices() {
  const services = rows("dim_service");
  if (!services) return null;
  return new Set(services.filter((r) => (state.studio === "all" || r.studio === state.studio)
    && (state.game === "all" || r.game === state.game)).map((r) => r.service_name));
}
function ofServices(found) {
  const services = chosenServices();
  return !found || !services ? found : found.filter((r) => services.has(r.service_name));
}
