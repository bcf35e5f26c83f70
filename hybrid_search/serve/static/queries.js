// The judged queries, the worst answered first, by the settings of the sliders.

import { post } from "./api.js";
import { byId, el, fill } from "./dom.js";
import { asked } from "./state.js";

export class QueryList {
  constructor(bench) {
    this.bench = bench;
    this.place = byId("queries");
    this.button = byId("open-queries");
    this.waiting = 0;
    this.asked = 0;
  }

  toggle() {
    this.bench.state.panel = this.place.hidden ? "queries" : "";
    this.bench.keep({ replace: true });
    this.open(this.bench.state.panel === "queries");
  }

  open(isOpen) {
    const wasOpen = !this.place.hidden;
    this.place.hidden = !isOpen;
    this.button.setAttribute("aria-expanded", String(isOpen));
    if (isOpen && !wasOpen) this.measure();
  }

  /** Measure anew when the sliders are left alone. */
  measureSoon(pause = 300) {
    clearTimeout(this.waiting);
    if (!this.place.hidden) this.waiting = setTimeout(() => this.measure(), pause);
  }

  async measure() {
    const number = ++this.asked;
    const { fusion, pinned } = this.bench.state;
    try {
      const measured = await measuredBy(fusion, this.bench.about);
      const other = pinned ? await measuredBy(pinned, this.bench.about) : null;
      if (number !== this.asked) return;
      this.show(measured, other);
      if (measured.retrieved < measured.total) this.measureSoon(500);
    } catch (error) {
      fill(this.place, el("h2", {}, "Judged queries"), el("p", { className: "failure" }, error.message));
    }
  }

  show(measured, other) {
    const { measure, mean, retrieved, total } = measured;
    const before = new Map((other?.queries ?? []).map((one) => [one.id, one.value]));
    const heading = el("h2", {}, "Judged queries");
    if (total === 0) {
      fill(this.place, heading, el("p", {}, "None yet. Judge hits with the buttons 0 to 3, or give ", el("code", {}, "--queries"), " and ", el("code", {}, "--qrels"), "."));
      return;
    }
    const summary = el("p", { className: "mean" }, `${measure} `, el("b", {}, decimals(mean)), other ? ` · A ${decimals(other.mean)}` : null);
    const progress = retrieved < total ? el("progress", { max: total, value: retrieved, "aria-label": "Queries retrieved" }) : null;
    const rows = measured.queries.map((one) => this.row(one, before.get(one.id)));
    const scroll = this.place.querySelector("ol")?.scrollTop ?? 0;
    fill(this.place, heading, summary, progress, el("ol", { tabindex: "0", "aria-label": "Queries, the worst first" }, rows));
    this.place.querySelector("ol").scrollTop = scroll;
  }

  row(one, before) {
    const bar = el("i", { className: "value-bar", "aria-hidden": "true" });
    bar.style.setProperty("--value", `${100 * (one.value ?? 0)}%`);
    const isWorse = before !== undefined && one.value < before - 0.0005;
    const isBetter = before !== undefined && one.value > before + 0.0005;
    const change = isWorse ? "worse than A" : isBetter ? "better than A" : null;
    const value = el("span", { className: "value" }, decimals(one.value), change ? el("span", { className: isWorse ? "down" : "up", title: change }, isWorse ? "▼" : "▲") : null);
    const current = one.text === this.bench.state.query ? "true" : null;
    const ask = () => this.bench.ask(one.text);
    return el("li", {}, el("button", { type: "button", "aria-current": current, onclick: ask }, el("span", { className: "text" }, one.text || "(empty)"), value, bar));
  }
}

const decimals = (value) => (value === null || value === undefined ? "–" : value.toFixed(3));
const measuredBy = (fusion, about) => post("/judged", asked(fusion, about));
