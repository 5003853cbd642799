// Versions of one service: who is on which, and what shutting old ones down would cost.
function servicesToChoose() {
  const tables = ["version_adoption", "active_versions", "version_shutdown_impact"].map(rows).filter(Boolean);
  return [...new Set(tables.flatMap((t) => ofServices(t).map((r) => r.service_name)))].sort();
}

function versionsView() {
  const services = servicesToChoose(), head = viewHead("Versions", "Which versions players are on, how fast a release is taken up, and what it would cost to stop supporting old ones. Versions cover all platforms.");
  if (!services.length) return [head, nothing("No version was seen in this selection.")];
  // Players are counted on the version they are on now: on every version they had, frequent releases would win.
  const players = (service) => (rows("version_shutdown_impact") || []).filter((r) => r.service_name === service).reduce((sum, r) => sum + r.players_remaining, 0);
  const service = services.includes(state.service) ? state.service : [...services].sort((p, q) => players(q) - players(p))[0];
  return [head, h("div", { class: "row controls" }, select("Service", service, services.map((x) => [x, x]), (v) => choose({ service: v, since: "", cutoff: "" }), { id: "v-service" }), sinceFilter(service)),
    card("Adoption", adoption(service)), card("Shutdown calculator", shutdown(service))];
}

// The versions of a service that any table of this view names, in order.
function versionsInOrder(service) {
  const found = new Map();
  for (const table of ["active_versions", "version_shutdown_impact", "release_cadence"])
    for (const r of (rows(table) || []).filter((r) => r.service_name === service)) if (!found.has(r.version) || (r.release_number ?? null) !== null) found.set(r.version, r);
  const order = places([...found.values()]);
  return [...found.keys()].sort((p, q) => order.get(p) - order.get(q));
}

function sinceFilter(service) {
  const known = versionsInOrder(service);
  return known.length < 2 ? "" : select("Versions", known.includes(state.since) ? state.since : "", [["", "All versions"], ...known.slice().reverse().map((v) => [v, `from ${v} on`])], (v) => choose({ since: v }), { id: "v-since" });
}

// Whether a version is the one chosen or comes after it; of one whose place nobody knows it is not said.
function isSince(service) {
  const known = versionsInOrder(service), at = known.indexOf(state.since);
  return at < 0 ? () => true : (version) => known.indexOf(version) >= at;
}

const LAYERS = 24;

function adoption(service) {
  const all = rows("version_adoption");
  if (!all) return [notYet("Adoption by day", "version_adoption"), activeNow(service)];
  const since = isSince(service);
  const [a, b] = period(), mine = all.filter((r) => r.service_name === service && since(r.version));
  const byVersion = new Map();
  for (const r of mine) {
    const i = Math.round((parseDay(r.date) - parseDay(core.first_day)) / DAY);
    if (i < a || i > b) continue;
    if (!byVersion.has(r.version)) byVersion.set(r.version, new Array(b - a + 1).fill(null));
    byVersion.get(r.version)[i - a] = r.share_of_players;
  }
  if (!byVersion.size) return nothing("Nobody was active in this period.");
  const cadence = (rows("release_cadence") || []).filter((r) => r.service_name === service);
  const order = places(cadence);
  // In the order of releases, neighbours in different colours; more than can be told apart are one layer at the bottom.
  const place = ([name]) => order.get(name) ?? 0;
  const ordered = [...byVersion].sort((p, q) => place(p) - place(q)), old = ordered.slice(0, -LAYERS);
  const kept = ordered.slice(-LAYERS).map(([name, values], k) => ({ name, values, color: k % 7 }));
  if (old.length) kept.unshift({ name: "older", color: 7, values: kept[0].values.map((_, i) => old.reduce((t, [, v]) => (v[i] === null ? t : (t || 0) + v[i]), null)) });
  const times = Array.from({ length: b - a + 1 }, (_, i) => dayAt(a + i));
  const notes = cadence.filter((r) => r.release_date).map((r) => ({ at: Math.round((parseDay(r.release_date) - times[0]) / DAY), text: "release day of " + r.version })).filter((x) => x.at >= 0 && x.at <= b - a);
  return [h("p", { class: "small" }, "Share of the day's active players by the version in effect at its end; older versions lie below. Dashed lines are release days."),
    stackedArea(kept, times, { title: "Adoption of " + service, wide: 980, height: 320, notes })];
}

function activeNow(service) {
  const since = isSince(service);
  const found = (rows("active_versions") || []).filter((r) => r.service_name === service && since(r.version)).sort((p, q) => q.players - p.players);
  if (!found.length) return "";
  return dataTable("active_versions", found, [{ name: "version" }, { name: "players" }, { name: "share_of_players" }, { name: "devices" }, { name: "sessions" }]);
}

function shutdown(service) {
  const all = rows("version_shutdown_impact");
  if (!all) return notYet("What a shutdown would cost", "version_shutdown_impact");
  const versions = all.filter((r) => r.service_name === service);
  const order = places(versions);
  versions.sort((p, q) => order.get(p.version) - order.get(q.version));
  if (!versions.length) return nothing("No version of this service is active.");
  if (versions.length < 2) return nothing(`Only one version is active (${versions[0].version}): there is nothing to shut down.`);
  let cut = versions.findIndex((r) => r.version === state.cutoff);
  if (cut < 1) cut = 1;
  const result = h("div", { class: "shutdown", "aria-live": "polite" });
  const draw = () => result.replaceChildren(...shutdownResult(service, versions, cut));
  const chosen = h("output", { for: "v-cut" }, versions[cut].version);
  const range = h("input", { id: "v-cut", type: "range", min: 1, max: versions.length - 1, value: cut, "aria-valuetext": versions[cut].version,
    oninput: (e) => { cut = Number(e.target.value); chosen.textContent = versions[cut].version; e.target.setAttribute("aria-valuetext", versions[cut].version); draw(); },
    onchange: () => choose({ cutoff: versions[cut].version }) });
  draw();
  return [h("label", { class: "field wide", for: "v-cut" }, h("span", {}, "Oldest version that stays supported: ", chosen), range,
    h("span", { class: "ends" }, h("span", {}, versions[1].version), h("span", {}, versions[versions.length - 1].version))), result,
  h("h4", {}, "Version by version"),
  dataTable("version_shutdown_impact", versions.filter((r) => isSince(service)(r.version)).reverse(), [{ name: "version" }, { name: "release_date" }, { name: "players_remaining" }, { name: "players_without_upgrade" }, { name: "share_of_dau" }, { name: "share_of_sessions" }, { name: "share_of_playtime" }, { name: "revenue_usd" }, { name: "share_of_revenue" },
    { name: "players_previous_7_days", label: "7 days before" }, { name: "players_last_7_days", label: "last 7 days" }, { name: "verdict", cell: (r) => verdict(r.verdict) }])];
}

// The place of each version in its service's order, released or not: by their keys, or, where these are not the
// order of its releases (versions that are hashes), by the releases.
function places(list) {
  const byKey = (p, q) => (p.version_sort_key < q.version_sort_key ? -1 : p.version_sort_key > q.version_sort_key ? 1 : 0);
  const released = list.filter((r) => (r.release_number ?? null) !== null).sort(byKey);
  const isByKey = released.every((r, i) => !i || released[i - 1].release_number <= r.release_number);
  return new Map([...list].sort(isByKey ? byKey : (p, q) => (p.release_number ?? 0) - (q.release_number ?? 0)).map((r, i) => [r.version, i + 1]));
}

const VERDICTS = { cheap: ["good", "cheap"], costly: ["bad", "costly"], strands_players: ["bad", "strands players"], newest: ["", "newest"], unused: ["good", "nobody is left on it"], not_released: ["", "not released"] };
const verdict = (v) => v ? h("span", { class: "verdict " + (VERDICTS[v]?.[0] || "") }, VERDICTS[v]?.[1] || v) : "–";

function shutdownResult(service, versions, cut) {
  const off = versions.slice(0, cut);
  const sum = (c) => off.reduce((t, r) => t + (r[c] || 0), 0);
  const cadence = (rows("release_cadence") || []).filter((r) => r.service_name === service);
  const number = places(cadence.length ? cadence : versions), limit = number.get(versions[cut].version);
  // Somebody is stuck if even the newest version of the own device is shut down.
  const devices = (rows("version_distribution") || []).filter((r) => r.service_name === service && r.device !== "all" && number.get(r.version) < limit && number.get(r.newest_version_on_device) < limit);
  const stuck = rows("version_distribution") ? devices.reduce((t, r) => t + r.players, 0) : sum("players_without_upgrade");
  // What those who are still there did, on whatever version: the most that goes if all of them go.
  const stake = (column, unit) => off.some((r) => (r[column] ?? null) !== null) ? `those still there: ${show(sum(column), unit)}` : "";
  const figure = (label, value, note, bad) => h("div", { class: "figure" + (bad ? " bad" : "") }, h("b", {}, value), h("span", {}, label), h("span", { class: "small" }, note || ""));
  const byDevice = new Map();
  for (const r of devices) byDevice.set(r.device, (byDevice.get(r.device) || 0) + r.players);
  const left = sum("players_remaining"), dropped = off.length > 6 ? `the ${off.length} versions before ${versions[cut].version}` : off.map((r) => r.version).join(", ");
  return [h("p", { class: "answer" }, !left ? `Nobody's latest version is ${off.length > 1 ? "among " : ""}${dropped}: shutting ${off.length > 1 ? "them" : "it"} down would cost nobody anything.`
      : `Without ${dropped}, ${of(left, "player")} would have to move${stuck ? ` and ${whole.format(stuck)} of them ${stuck === 1 ? "has" : "have"} no newer version on their device` : ", and every one of them can"}.`),
    h("p", { class: "small" }, "Shares are of what happened in the last 28 days while these versions were in effect, by players who have since moved on too: the most that could be lost."),
    h("div", { class: "figures" }, figure("players would have to move", whole.format(sum("players_remaining")), show(sum("share_of_players_remaining"), "share") + " of the service's players"),
      figure("of them cannot", whole.format(stuck), stuck ? "their device has no newer version" : "every device has a newer version", stuck > 0),
      figure(`of DAU was on ${off.length > 1 ? "them" : "it"}`, show(sum("share_of_dau"), "share"), stake("remaining_share_of_dau", "share")), figure("of sessions", show(sum("share_of_sessions"), "share")), figure("of playtime", show(sum("share_of_playtime"), "share")),
      figure("of revenue", off.some((r) => r.share_of_revenue !== null) ? show(sum("share_of_revenue"), "share") : "–", stake("remaining_revenue_usd", "usd") || show(sum("revenue_usd"), "usd") + " in 28 days")),
    byDevice.size ? h("p", {}, "Who cannot move: ", [...byDevice].sort((p, q) => q[1] - p[1]).map(([d, n]) => `${d} (${whole.format(n)})`).join(", ") + ".") : "",
    h("p", { class: "small" }, "Nothing says that those who can move would leave.")];
}
