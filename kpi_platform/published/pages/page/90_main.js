// Puts the page together: views, theme, keys, and what is said about the data's age.
const VIEWS = { overview: ["Overview", overviewView], trends: ["Trends", trendsView], retention: ["Retention", retentionView], versions: ["Versions", versionsView], feeds: ["Console & streams", feedsView],
  questions: ["Questions", questionsView], data: ["Data", qualityView], definitions: ["Definitions", definitionsView] };

function render() {
  const focused = document.activeElement?.id;
  hideTip();
  redraws = [];
  byId("views").replaceChildren(...Object.entries(VIEWS).map(([key, [name]]) => h("button", { type: "button", role: "tab", id: "view-" + key, "aria-selected": String(key === state.view), "aria-controls": "main", tabindex: key === state.view ? "0" : "-1",
    onclick: () => choose({ view: key }), onkeydown: (e) => moveView(e, key) }, name)));
  drawFilters();
  byId("main").replaceChildren(...[drawn(VIEWS[state.view])].flat(Infinity).filter(Boolean));
  byId("main").setAttribute("aria-busy", "false");
  byId("main").dataset.view = state.view;
  // What was chosen may be gone: the keyboard then goes on from the view, not from the page's top.
  if (focused) (byId(focused) || byId("main")).focus({ preventScroll: true });
}

// A fault in one view must not take the others with it; the console has the whole of it.
function drawn([name, view]) {
  try {
    return view();
  } catch (error) {
    console.error(error);
    return [viewHead(name), nothing(`This view cannot be shown (${error.message}). The others can.`)];
  }
}

function moveView(event, key) {
  const keys = Object.keys(VIEWS), step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const next = step ? keys[(keys.indexOf(key) + step + keys.length) % keys.length] : { Home: keys[0], End: keys[keys.length - 1] }[event.key];
  if (!next) return;
  event.preventDefault();
  choose({ view: next }).then(() => byId("view-" + next).focus());
}

function age(ms) {
  const hours = ms / 3600000;
  return hours < 1 ? "less than an hour" : hours < 48 ? `${Math.round(hours)} hours` : `${whole.format(hours / 24)} days`;
}

function sayAge() {
  const until = core.now ? Date.parse(core.now) : null, old = until ? Date.now() - until : 0;
  const said = core.is_simulated ? h("span", {}, " · a simulated world") : old > 0 ? h("span", { class: old > 6 * 3600000 ? "stale" : "" }, ` · ${age(old)} old`) : "";
  byId("as-of").replaceChildren(until ? `Data until ${hourText(until)} UTC` : "No hour has been processed yet", until ? said : "");
  byId("foot").textContent = `Built ${hourText(Date.parse(core.built_at))} UTC. One file, no network: keep it, send it, open it anywhere.`;
}

const THEMES = ["auto", "light", "dark"];
function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme; else document.documentElement.dataset.theme = theme;
  byId("theme").textContent = "Theme: " + theme;
  byId("theme").dataset.theme = theme;
}

async function start() {
  setTheme("auto");
  byId("theme").addEventListener("click", () => { setTheme(THEMES[(THEMES.indexOf(byId("theme").dataset.theme) + 1) % 3]); render(); });
  byId("print").addEventListener("click", () => print());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", render);
  core = await block(0);
  buildNames();
  readState();
  await loadPlatform(state.platform);
  sayAge();
  render();
  addEventListener("hashchange", async () => { const was = state.platform; readState(); if (state.platform !== was) await loadPlatform(state.platform); render(); });
  addEventListener("scroll", hideTip, { passive: true });
  addEventListener("beforeprint", () => forPaper(true));
  addEventListener("afterprint", () => forPaper(false));
  matchMedia("print").addEventListener("change", (e) => forPaper(e.matches));
}
start();
