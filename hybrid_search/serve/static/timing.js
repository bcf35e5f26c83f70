// The time of each step of the last search, and of the page's own ranking.

import { byId, el, fill, milliseconds } from "./dom.js";

const STEPS = ["encode", "retrieve", "fetch", "rerank"];

export function showTiming(bench) {
  const place = byId("timing");
  place.hidden = bench.found === null;
  if (!bench.found) return;
  const took = { ...bench.found.took_ms };
  if (!bench.about.reranker || !bench.state.rerank) delete took.rerank;
  const steps = STEPS.filter((step) => took[step] >= 0.05).map((step) => [step, took[step]]);
  const total = steps.reduce((sum, [, one]) => sum + one, 0) || 1;
  const bar = steps.map(([step, one]) => {
    const part = el("i", { data: { step }, title: `${step} ${milliseconds(one)} ms` });
    part.style.setProperty("inline-size", `${(100 * one) / total}%`);
    return part;
  });
  const texts = steps.map(([step, one]) => el("span", { data: { step } }, `${step} `, el("b", {}, milliseconds(one)), " ms"));
  const own = el("span", { className: "own" }, "ranked here in ", el("b", { id: "took" }, milliseconds(bench.tookMs)), " ms");
  fill(place, el("div", { className: "steps", "aria-hidden": "true" }, bar), el("p", {}, texts, own));
}
