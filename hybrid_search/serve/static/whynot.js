// Why a document is not among the hits: what the server says of it, and the changes that would bring it in.

import { post } from "./api.js";
import { byId, el, fill, shown } from "./dom.js";
import { asked } from "./state.js";

export class WhyNot {
  constructor(bench) {
    this.bench = bench;
    this.dialog = byId("why");
    byId("open-why").addEventListener("click", () => this.open(""));
    byId("why-ask").addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask(byId("why-id").value.trim());
    });
    byId("why-close").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("close", () => this.remember(null));
  }

  /** Open for a document; for none, ask which. */
  open(id) {
    byId("why-id").value = id;
    fill(byId("why-answer"));
    if (!this.dialog.open) this.dialog.showModal();
    if (id) this.ask(id);
  }

  remember(id) {
    if (this.bench.state.why === id) return;
    this.bench.state.why = id;
    this.bench.keep({ replace: true });
  }

  async ask(id) {
    const answer = byId("why-answer");
    if (!id) return;
    if (!this.bench.state.query) {
      fill(answer, el("p", { className: "failure" }, "Search for something first."));
      return;
    }
    this.remember(id);
    fill(answer, el("p", { className: "quiet" }, "Looking …"));
    const { fusion, rerank } = this.bench.state;
    const ranking = asked(fusion, this.bench.about);
    try {
      const found = await post("/why-not", { ...this.bench.asked(), ...ranking, rerank: rerank ? null : false, id });
      if (this.bench.state.why === id) fill(answer, this.shown(found));
    } catch (error) {
      fill(answer, el("p", { className: "failure" }, error.message));
    }
  }

  shown(found) {
    return [
      el("p", { className: "verdict" }, found.verdict),
      found.nearest.length ? this.nearest(found.nearest) : null,
      found.conditions.length ? conditions(found.conditions) : null,
      found.legs.length ? legs(found.legs) : null,
      found.words.length ? words(found.words) : null,
      found.terms.length ? terms(found.terms) : null,
      found.changes.length ? this.changes(found.changes) : null,
      found.notes.map((note) => el("p", { className: "quiet" }, note)),
    ];
  }

  nearest(ids) {
    return part("Ids that look alike", el("p", {}, ids.map((id) => el("button", { type: "button", onclick: () => this.open(id) }, id))));
  }

  changes(changes) {
    const rows = changes.map(({ kind, setting, rank }) => {
      const use = kind === "weights" ? el("button", { type: "button", onclick: () => this.use(setting) }, "Use") : null;
      return el("li", {}, el("code", {}, `${kind} ${setting}`), ` brings it to rank ${rank} `, use);
    });
    return part("What would bring it in", el("ul", {}, rows));
  }

  /** Set the sliders to weights; only their ratios count. */
  use(setting) {
    const pairs = setting.split(",").map((pair) => pair.split("="));
    const most = Math.max(...pairs.map(([, weight]) => Number(weight)));
    const weights = { ...this.bench.inUse().weights };
    for (const [leg, weight] of pairs) weights[leg] = Number(weight) / most;
    this.bench.state.fusion = { ...this.bench.state.fusion, weights };
    this.dialog.close();
    this.bench.ranked();
  }
}

const part = (title, ...children) => el("section", {}, el("h3", {}, title), children);

function legs(rows) {
  const head = ["Leg", "Rank", "Score", "Gives"].map((name) => el("th", { scope: "col" }, name));
  const body = rows.map((one) => {
    const rank = one.failure ?? (one.rank === null ? "no match" : `${one.rank}${one.rank > one.window ? `, beyond its ${one.window}` : ""}`);
    const name = el("th", { scope: "row", className: "leg-name", data: { leg: one.leg } }, one.leg);
    return el("tr", {}, name, el("td", {}, rank), el("td", {}, shown(one.score)), el("td", {}, shown(one.contribution)));
  });
  return part("Its place in each leg", el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, body)));
}

function words(list) {
  const chips = list.map(({ text, terms: found, passages }) => {
    const kind = found.length === 0 ? "stop" : passages ? "there" : "absent";
    const said = { stop: "is not searched for", there: "is in it", absent: "is not in it" }[kind];
    return el("span", { className: "word", data: { kind }, title: `${text} ${said}` }, text, el("span", { className: "hidden" }, ` ${said}`));
  });
  return part("The words of the query in it", el("p", { className: "words" }, chips));
}

function terms(list) {
  const chips = list.slice(0, 12).map((one) => el("span", { className: "word", data: { kind: "there" } }, `${one.word ?? one.term} `, el("b", {}, shown(one.product))));
  return part("The sparse terms that meet", el("p", { className: "words" }, chips));
}

function conditions(list) {
  const rows = list.map((one) => el("li", {}, one.passes ? "✓ " : "✗ ", el("code", {}, one.text), one.passes ? " holds" : " does not hold"));
  return part("The filter", el("ul", {}, rows));
}
