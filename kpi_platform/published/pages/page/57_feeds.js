// Console and stream platforms: what they tell of a game beside its own telemetry.
const FEEDS = [
  ["console", "kpi_console_daily", "Console platforms", "Installs, trophies and subscriptions as the console platforms report them. Shares are of all players they have told of so far."],
  ["stream", "kpi_stream_daily", "Stream platforms", "How many watch the games being played. The peak of a total is an upper bound: games peak at different minutes."],
];

function feedsView() {
  const head = viewHead("Console & streams", "What platforms outside the games tell by day. " + (state.platform === "all" ? "" : "They do not tell it by the players' platform: these are the figures of all platforms."));
  return [head, FEEDS.map(([name, table, title, sentence]) => feedSection(feeds[name], table, title, sentence))];
}

function feedSection(data, table, title, sentence) {
  const head = h("div", { class: "section-head" }, h("h3", {}, title), h("p", { class: "small" }, sentence));
  if (!data) return [head, notYet(title, table)];
  const [a, b] = period(), found = grain(data, state.studio, state.game);
  if (!found) return [head, nothing("Nobody tells of this selection.")];
  return [head, h("div", { class: "kpis" }, listed("cards", table).map((k) => kpiCard(found, k, a, b))),
    h("div", { class: "two" }, listed("charts", table).map((k) => sideBySide(k, a, b, data))),
    card("Side by side", compareTable(a, b, data, listed("compared", table)))];
}
