// Every KPI with its sentence, formula and source.
function definitionsView() {
  const words = state.q.toLowerCase();
  const found = Object.entries(core.kpis).filter(([name, k]) => !words || [name, k.label, k.sentence, k.formula].join(" ").toLowerCase().includes(words));
  return [viewHead("Definitions", "What every figure means. The same words stand in the catalogue, in the warehouse and here."),
    h("div", { class: "row controls" }, h("label", { class: "field" }, h("span", {}, "Search"), h("input", { id: "d-search", type: "search", value: state.q, oninput: (e) => choose({ q: e.target.value }) }))),
    found.length ? h("dl", { class: "definitions" }, found.map(([name, k]) => h("div", { class: "card" }, h("dt", {}, k.label, " ", h("code", {}, name)),
      h("dd", {}, h("p", {}, k.sentence), k.formula ? h("p", { class: "formula" }, k.formula) : "", h("p", { class: "small" }, [k.unit_text, k.grain, k.definition_version ? `definition ${k.definition_version}, approved since ${k.approved}` : "", "owner " + k.owner, k.source].filter(Boolean).join(" · ")))))) : nothing("No KPI of that name."),
    h("p", { class: "small" }, "UTC calendar days and hours. A total counts every player once, so totals are no sums. A period is complete when every hour of it has arrived from all its sources, else provisional; later events still restate it.")];
}
