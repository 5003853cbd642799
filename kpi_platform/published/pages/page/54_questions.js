// The twelve questions: an answer in a sentence, then the table that it comes from.
const of = (n, one, many) => `${whole.format(n)} ${n === 1 ? one : many || one + "s"}`;
const top = (found, by, n = 1) => [...found].filter((r) => r[by] !== null).sort((p, q) => q[by] - p[by]).slice(0, n);
const share = (v) => show(v, "share");
const iv = (name, extra) => ({ name, interval: true, ...extra });
const enough = (r) => r.has_enough_data === false || ("is_control" in r && r.players < FEWEST) ? "thin" : "";
const known = (found, column) => found.filter((r) => r[column] !== "unknown");
const tooFew = (text) => text || h("span", { class: "small" }, "too few players");
const PER_MEASURE = { session_length_seconds: "seconds", playtime_per_day_seconds: "seconds", revenue_per_day_usd: "usd" };
const ofMeasure = (r) => PER_MEASURE[r.measure] || "number";

const QUESTIONS = [
  ["active_versions", "Which versions are active?", (f) => {
    const services = new Set(f.map((r) => r.service_name)).size, [best] = top(f, "players");
    return `${of(f.length, "version")} of ${of(services, "service")} were seen in the last 28 days; most players are on ${best.service_name} ${best.version} (${whole.format(best.players)}).`;
  }, ["service_name", "version", "last_seen_at", "players", "share_of_players", "devices", "sessions"], "players"],
  ["version_shutdown_impact", "Can an old version be shut down, and what would it cost?", (f) => {
    const n = (v) => f.filter((r) => r.verdict === v);
    const named = (t) => t.length ? " (" + t.slice(0, 4).map((r) => r.service_name + " " + r.version).join(", ") + (t.length > 4 ? ", …" : "") + ")" : "";
    const stuck = n("strands_players"), players = stuck.reduce((t, r) => t + r.players_without_upgrade, 0);
    return `${n("unused").length ? `Nobody is left on ${of(n("unused").length, "old version")}. ` : ""}${of(n("cheap").length, "version")} could go at little cost${named(n("cheap"))}, ${n("costly").length} would cost over 1 % of DAU or revenue${named(n("costly"))}; `
      + (stuck.length ? `${of(stuck.length, "version")} would strand ${of(players, "player")} who cannot upgrade${named(stuck)}.` : "none would strand players who cannot upgrade.");
  }, ["service_name", "version", "players_remaining", "players_without_upgrade", "share_of_dau", "share_of_sessions", "share_of_playtime", "revenue_usd", { name: "verdict", cell: (r) => r.verdict ? verdict(r.verdict) : tooFew() }], "players_remaining", (r) => !r.is_newest],
  ["version_distribution", "How many users are on which version and device?", (f) => {
    const all = f.filter((r) => r.device !== "all"), sum = (t) => t.reduce((n, r) => n + r.players, 0), told = known(all, "version"), silent = sum(all) - sum(told);
    return `${share(sum(told.filter((r) => r.is_newest_on_device)) / (sum(told) || 1))} of ${of(sum(told), "player")} are on the newest version that their device has` + (silent ? `; of ${of(silent, "more player")} no version is known.` : ".");
  }, ["service_name", "version", "device", "players", iv("share_of_players"), "newest_version_on_device", "is_newest_on_device"], "players", (r) => r.device !== "all" && r.version !== "unknown"],
  ["upgrade_notifications", "Do upgrade notifications work?", (f) => {
    const sum = (c) => f.reduce((n, r) => n + (r[c] || 0), 0), measured = sum("players_measured");
    return `${of(sum("sent"), "notification")} sent, ${whole.format(sum("shown"))} shown, ${whole.format(sum("accepted"))} accepted; ` + (measured ? `${share(sum("players_upgraded_7d") / measured)} of ${of(measured, "player")} who did not have it yet were on the version within 7 days, some of whom would have been unasked.` : "nobody's 7 days are over yet.");
  }, ["service_name", "target_version", "sent", "shown", "accepted", "dismissed", "players_measured", iv("upgrade_rate_7d"), "hours_to_upgrade_median"], "sent"],
  ["feature_use_by_version", "Which features are used on which version?", (f) => {
    const fresh = f.filter((r) => r.is_new), [best] = top(f, "players");
    return `Most used: ${best.feature} on ${best.service_name} ${best.version} (${share(best.share_of_players)} of its players). ` + (fresh.length ? `${of(fresh.length, "feature")} came with a version, first ${fresh.slice(0, 3).map((r) => `${r.feature} (${r.version})`).join(", ")}.` : "No version brought a new feature.");
  }, ["service_name", "version", { name: "feature", cell: (r) => [r.feature, r.is_new ? h("span", { class: "badge" }, "new") : ""] }, "players", iv("share_of_players"), "uses_per_player", iv("share_of_days"), "previous_version", iv("share_change")], "players"],
  ["ab_test_results", "What came out of A/B tests?", (f) => {
    const clear = f.filter((r) => r.verdict === "better" || r.verdict === "worse"), n = new Set(f.map((r) => r.service_name + "\u0000" + r.experiment)).size;
    return `${of(n, "experiment")}: ` + (clear.length ? clear.slice(0, 4).map((r) => `${r.variant} of ${r.experiment} on ${r.service_name} is ${r.verdict} than the control`).join(", ") + "."
      : f.some((r) => r.verdict) ? "no clear difference yet." : "all have too few players for a verdict yet; go on with them.");
  }, ["service_name", "experiment", { name: "variant", cell: (r) => [r.variant, r.is_control ? h("span", { class: "badge" }, "control") : ""] }, "players", iv("retention_d1"), iv("retention_d7"), iv("revenue_per_player_usd"), iv("retention_d7_difference"), { name: "verdict", cell: (r) => r.is_control ? "–" : r.verdict ? h("span", { class: "verdict " + ({ better: "good", worse: "bad" }[r.verdict] || "") }, r.verdict) : tooFew() }], null],
  ["install_sources", "Where do installs come from, and what are they worth?", (f) => {
    const told = known(f, "install_source"), [many] = top(told.length ? told : f, "installs"), [worth] = top(told.filter((r) => r.has_enough_data !== false), "revenue_per_player_usd");
    return `Most installs of a service come from ${many.install_source} (${many.service_name}, ${whole.format(many.installs)})${told.length && told.length < f.length ? `; of ${whole.format(f.reduce((n, r) => n + r.installs, 0) - told.reduce((n, r) => n + r.installs, 0))} no source is told` : ""}.` + (worth ? ` Worth most per player: ${worth.install_source} (${worth.service_name}, ${show(worth.revenue_per_player_usd, "usd")}).` : " No named source has enough players to say what it is worth.");
  }, ["service_name", "install_source", "installs", "players", iv("share_of_players"), iv("retention_d1"), iv("retention_d7"), iv("revenue_per_player_usd")], "installs"],
  ["issues_by_version", "How many issues has a version?", (f) => {
    const codes = f.filter((r) => r.code !== "all" && r.has_enough_data !== false), [worst] = top(codes.length ? codes : f, "per_1000_sessions");
    return `Most frequent: ${worst.kind} ${worst.code} on ${worst.service_name} ${worst.version}, ${show(worst.per_1000_sessions, "number")} per 1,000 sessions, ${of(worst.players, "player")}.`;
  }, ["service_name", "version", "kind", "code", "severity", "issues", "players", iv("share_of_players"), iv("per_1000_sessions"), "previous_per_1000_sessions"], "issues", (r) => r.code !== "all"],
  ["version_engagement", "How do engagement, retention and churn differ by version?", (f) => {
    const warn = f.filter((r) => r.adopters_differ).length, [best] = top(f.filter((r) => r.has_enough_data !== false), "playtime_per_player_day_seconds");
    return (best ? `Longest played per day: ${best.service_name} ${best.version} (${show(best.playtime_per_player_day_seconds, "seconds")}). ` : "No version has enough players for a verdict. ") + (warn ? `On ${of(warn, "version")} early adopters played differently before: the version is not the reason.` : "");
  }, ["service_name", { name: "version", cell: (r) => [r.version, r.is_newest ? h("span", { class: "badge" }, "newest") : "", r.adopters_differ ? h("span", { class: "badge warn", title: "Those who moved to it played differently before it came out." }, "adopters differ") : ""] }, "players", iv("playtime_per_player_day_seconds"), "sessions_per_player_day", iv("retention_d1"), iv("retention_d7"), iv("churn_28"), "arpdau_usd"], "players"],
  ["version_focus", "What should be fixed next?", (f) => {
    const first = f.filter((r) => r.is_newest && r.kind !== "feature").sort((p, q) => p.priority - q.priority)[0] || f[0];
    return `First: ${first.kind} ${first.name} on ${first.service_name} ${first.version}, ${of(first.players_affected, "player")} affected (${share(first.share_of_players)})${first.direction === "worse" ? ", more than on " + first.previous_version : ""}.`;
  }, ["priority", "service_name", { name: "version", cell: (r) => [r.version, r.is_newest ? h("span", { class: "badge" }, "newest") : ""] }, "kind", "name", "players_affected", "share_of_players", iv("concern"), { name: "direction", cell: (r) => r.direction ? h("span", { class: "verdict " + ({ better: "good", worse: "bad" }[r.direction] || "") }, r.direction) : tooFew() }], "-priority"],
  ["release_cadence", "How often is released, and how fast is it taken up?", (f) => {
    const half = f.filter((r) => r.hours_to_half_adoption !== null).map((r) => r.hours_to_half_adoption).sort((p, q) => p - q), gaps = [...new Map(f.map((r) => [r.service_name, r.service_days_between_releases_median])).values()].filter((v) => v !== null);
    return (gaps.length ? `A service releases every ${d1.format(gaps.reduce((t, v) => t + v, 0) / gaps.length)} days (mean of the services' medians). ` : "No service has released twice yet. ") + (half.length ? `Half of the players are on a release after ${show(half[Math.floor(half.length / 2)], "hours")} (median of ${half.length}).` : "No release has reached half of the players yet.");
  }, ["service_name", "version", "release_date", "days_since_previous_release", "players", "peak_share_of_players", "hours_to_half_adoption", "release_state", "service_cadence", "is_newest"], "release_date"],
  ["version_behaviour", "Do session length and other behaviour change with the version?", (f) => {
    const [best] = top(f.map((r) => ({ ...r, strength: r.correlation === null ? null : Math.abs(r.correlation) })), "strength");
    return best ? `Strongest: ${spoken(best.measure)} on ${best.service_name}, r = ${d2.format(best.correlation)} (${show(best.correlation_low, "ratio")} to ${show(best.correlation_high, "ratio")}, n = ${whole.format(best.correlation_players)})${best.correlation_low < 0 && best.correlation_high > 0 ? ", which may be chance" : ""}. A correlation is no cause.` : "No service has enough players for a correlation.";
  }, ["service_name", "version", { name: "measure", cell: (r) => spoken(r.measure) }, "players", iv("mean", { unit: ofMeasure, scaleBy: "measure" }), { name: "median", unit: ofMeasure }, iv("difference", { unit: ofMeasure, scaleBy: "measure" }),
    { name: "correlation", cell: (r) => r.correlation === null ? tooFew() : [d2.format(r.correlation), h("span", { class: "small" }, ` ${d2.format(r.correlation_low)} to ${d2.format(r.correlation_high)}, n ${whole.format(r.correlation_players)}`), r.adopters_differ ? h("span", { class: "badge warn", title: "Those who moved to the version played differently before it came out." }, "adopters differ") : ""] }], "players"],
];

function questionsView() {
  return [viewHead("Twelve questions", "Each answer is of the last 28 days unless it says otherwise, of the services of the chosen studio and game, on all platforms. Bars show 95 % intervals: where they overlap widely, do not read a difference. Rows set in grey have too few players for a verdict."),
    h("nav", { class: "contents", "aria-label": "Questions" }, h("ol", {}, QUESTIONS.map(([table, title], i) => h("li", {}, h("a", { href: "#q" + i, onclick: (e) => { e.preventDefault(); const at = byId("q" + i); at.scrollIntoView(); at.focus(); } }, title))))),
    QUESTIONS.map(([table, title, answer, columns, by, only], i) => question(i, table, title, answer, columns, by, only))];
}

function question(i, table, title, answer, columns, by, only) {
  const all = rows(table), box = h("section", { class: "card question", id: "q" + i, tabindex: "-1" }, h("h3", {}, h("span", { class: "number" }, i + 1), title));
  if (!all) return fill(box, {}, [notYet("The answer", table)]);
  const found = ofServices(all);
  if (!found.length) return fill(box, {}, [nothing("No data in this selection.")]);
  const listed = only ? found.filter(only) : found;
  const sorted = !by ? listed : by[0] === "-" ? [...listed].sort((p, q) => (q.is_newest === true) - (p.is_newest === true) || p[by.slice(1)] - q[by.slice(1)]) : [...listed].sort((p, q) => (q[by] > p[by] ? 1 : q[by] < p[by] ? -1 : 0));
  const there = new Set(Object.keys(core.tables[table].columns));
  const used = columns.map((c) => (typeof c === "string" ? { name: c } : c)).filter((c) => there.has(c.name));
  return fill(box, {}, [h("p", { class: "answer" }, guarded(() => answer(found.map(safeRow)))), dataTable(table, sorted, used, { title, rowClass: enough, limit: 8 }),
    h("details", { class: "how" }, h("summary", {}, "How to read it"), h("p", {}, core.descriptions[table] || ""), h("p", { class: "small" }, "Table: published/" + table))]);
}

// A sentence over columns that a table of another release may lack must not take the page with it.
function guarded(make) {
  try { return make(); } catch (error) { if (error instanceof TypeError) return ""; throw error; }
}
