// Console and stream platforms: what they tell of a game beside its own telemetry.
const FEEDS = [
  ["console", "kpi_console_daily", "Console platforms", "Installs, trophies and subscriptions as the console platforms report them. Shares are of all players they have told of so far.",
    ["installs", "trophy_earned_rate", "subscriber_share", "console_revenue_usd", "console_payers"], ["installs", "console_revenue_usd"], ["installs", "console_players", "trophies", "trophy_earned_rate", "subscriptions", "subscriber_share", "console_purchases", "console_revenue_usd"]],
  ["stream", "kpi_stream_daily", "Stream platforms", "How many watch the games being played. The peak of a total is an upper bound: games peak at different minutes.",
    ["hours_watched", "average_viewers", "peak_viewers", "hours_streamed", "viewer_ratio"], ["hours_watched", "viewer_ratio"], ["hours_watched", "average_viewers", "peak_viewers", "peak_channels", "hours_streamed", "viewer_ratio"]],
];

function feedsView() {
  const head = viewHead("Console & streams", "What platforms outside the games tell by day. " + (state.platform === "all" ? "" : "They do not tell it by the players' platform: these are the figures of all platforms."));
  return [head, FEEDS.map(([name, table, title, sentence, cards, charts, columns]) => feedSection(feeds[name], table, title, sentence, cards, charts, columns))];
}

function feedSection(data, table, title, sentence, cards, charts, columns) {
  const head = h("div", { class: "section-head" }, h("h3", {}, title), h("p", { class: "small" }, sentence));
  if (!data) return [head, notYet(title, table)];
  const [a, b] = period(), found = grain(data, state.studio, state.game);
  if (!found) return [head, nothing("Nobody tells of this selection.")];
  return [head, h("div", { class: "kpis" }, cards.filter((k) => core.kpis[k]).map((k) => kpiCard(found, k, a, b))),
    h("div", { class: "two" }, charts.map((k) => sideBySide(k, a, b, data))),
    card("Side by side", compareTable(a, b, data, columns, columns[0]))];
}
