// The fusion method, the weight of each leg, and the rank constant.

import { byId, el, fill } from "./dom.js";
import { isUsual } from "./state.js";

export class Tuning {
  constructor(bench) {
    this.bench = bench;
    this.sliders = {};
    const rows = bench.about.legs.map((leg) => this.slider(leg));
    fill(byId("weights"), rows, this.constant());
    for (const radio of document.querySelectorAll('input[name="method"]')) {
      radio.addEventListener("change", () => this.choose(radio.value));
    }
  }

  slider(leg) {
    const most = Math.max(1, ...Object.values(this.bench.about.usual_weights).map((weights) => weights[leg]));
    const output = el("output", { for: `weight-${leg}` });
    const range = { type: "range", id: `weight-${leg}`, min: 0, max: most, step: 0.05 };
    const input = el("input", { ...range, data: { leg }, oninput: () => this.weigh(leg, Number(input.value)) });
    this.sliders[leg] = { input, output };
    return el("div", { className: "weight", data: { leg } }, el("label", { for: `weight-${leg}`, className: "leg-name", data: { leg } }, leg), input, output);
  }

  constant() {
    const input = el("input", { type: "range", id: "rank-constant", min: 0, max: 120, step: 1 });
    const output = el("output", { for: "rank-constant" });
    input.addEventListener("input", () => {
      this.bench.state.fusion.rank_constant = Number(input.value);
      this.bench.ranked();
    });
    this.sliders.constant = { input, output };
    this.constantRow = el("div", { className: "weight" }, el("label", { for: "rank-constant" }, "rank constant"), input, output);
    return this.constantRow;
  }

  /** The weight of a leg; the last that weighs anything keeps a little. */
  weigh(leg, weight) {
    const weights = { ...this.bench.inUse().weights, [leg]: weight };
    if (Object.values(weights).every((one) => one === 0)) weights[leg] = 0.05;
    this.bench.state.fusion.weights = weights;
    this.bench.ranked();
  }

  /** Another method; weights that nobody has moved are those that are usual with it. */
  choose(method) {
    const { fusion } = this.bench.state;
    const { about } = this.bench;
    const weights = isUsual(fusion, about) ? about.usual_weights[method] : fusion.weights;
    this.bench.state.fusion = { ...fusion, method, weights: { ...weights } };
    this.bench.ranked();
  }

  show() {
    const fusion = this.bench.inUse();
    byId("rule").textContent = fusion.rule ? `Weights of ${fusion.rule}` : "";
    for (const radio of document.querySelectorAll('input[name="method"]')) radio.checked = radio.value === fusion.method;
    for (const [leg, weight] of Object.entries(fusion.weights)) this.set(leg, weight);
    this.set("constant", fusion.rank_constant);
    this.constantRow.hidden = fusion.method !== "rrf";
  }

  set(name, value) {
    const { input, output } = this.sliders[name];
    if (Number(input.value) !== value) input.value = value;
    output.textContent = String(value);
    const share = (100 * value) / Number(input.max);
    input.style.setProperty("--filled", `${Math.min(100, share)}%`);
  }
}
