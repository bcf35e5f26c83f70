// The settings as TOML, for every command of hybrid-search.

import { announce, byId } from "./dom.js";
import { isUsual } from "./state.js";

const decimal = (number) => (Number.isInteger(number) ? number.toFixed(1) : String(number));

export function toml(fusion, rerank, about) {
  const lines = ["[search]", `fusion = "${fusion.method}"`, `rank_constant = ${fusion.rank_constant}`];
  if (about.rules.length && isUsual(fusion, about)) lines.push(`rules = ${JSON.stringify(about.rules)}`);
  lines.push("", "[search.weights]");
  for (const [leg, weight] of Object.entries(fusion.weights)) lines.push(`${leg} = ${decimal(weight)}`);
  if (about.rerank) {
    const { model, window, weight } = about.rerank;
    lines.push("", "[rerank]", `model = ${JSON.stringify(rerank ? model : "none")}`);
    if (rerank) lines.push(`window = ${window}`, `weight = ${decimal(weight)}`);
  }
  return `${lines.join("\n")}\n`;
}

export function showExport(bench) {
  const text = toml(bench.state.fusion, bench.state.rerank, bench.about);
  byId("toml").textContent = text;
  const link = byId("download");
  URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(new Blob([text], { type: "application/toml" }));
  byId("copy").onclick = async () => {
    await navigator.clipboard.writeText(text);
    byId("copy").textContent = "Copied";
    announce("The settings are copied");
  };
  byId("copy").textContent = "Copy";
  byId("exported").showModal();
}
