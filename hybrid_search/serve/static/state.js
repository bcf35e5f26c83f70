// The state of the page is in its address, behind "#": it can be kept and sent, and no server or proxy ever sees it.

const NUMBER = /^\d+(\.\d+)?$/;

/** What the page shows where its address says nothing. */
export function usual(about) {
  return {
    query: "",
    filter: "",
    syntax: "text",
    rerank: about.reranker !== null,
    meaning: false, // passages show the sentence that is nearest in meaning, too
    diversity: 0,
    per: "", // at most so many hits of one value: "brand=2"
    fusion: structuredClone(about.fusion),
    pinned: null, // the settings A of a comparison; the sliders are B
    selected: null,
    shown: 10,
    panel: "",
    why: null, // the document that is asked about
  };
}

/** The state that an address holds; what it does not say, or says wrongly, is as usual. */
export function read(hash, about) {
  const state = usual(about);
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  state.query = given.get("q") ?? "";
  state.filter = given.get("f") ?? "";
  if (given.get("syntax") === "simple") state.syntax = "simple";
  state.rerank = about.reranker !== null && given.get("rerank") !== "0";
  state.meaning = about.can_mark_meaning && given.get("meaning") === "1";
  const diversity = given.get("diversity") ?? "";
  if (about.can_diversify && NUMBER.test(diversity)) state.diversity = Math.min(1, Number(diversity));
  const per = given.get("per") ?? "";
  if (/=[1-9]$/.test(per) && about.fields.keyword.includes(per.slice(0, -2))) state.per = per;
  state.fusion = fusionIn(given, "", about) ?? state.fusion;
  state.pinned = fusionIn(given, "a.", about);
  if (state.pinned) state.pinned.rerank = about.reranker !== null && given.get("a.rerank") !== "0";
  state.selected = given.get("doc");
  const count = Number(given.get("n"));
  if (Number.isInteger(count) && count >= 10 && count <= 1000) state.shown = count;
  if (given.get("panel") === "queries") state.panel = "queries";
  state.why = given.get("why") || null;
  return state;
}

function fusionIn(given, prefix, about) {
  const method = given.get(`${prefix}fusion`);
  if (!about.methods.includes(method)) return null;
  const fusion = { method, weights: { ...about.usual_weights[method] }, rank_constant: about.fusion.rank_constant };
  for (const pair of (given.get(`${prefix}weights`) ?? "").split(",")) {
    const [leg, weight] = pair.split("=");
    if (about.legs.includes(leg) && NUMBER.test(weight ?? "")) fusion.weights[leg] = Number(weight);
  }
  const constant = given.get(`${prefix}k`) ?? "";
  if (/^\d{1,4}$/.test(constant)) fusion.rank_constant = Number(constant);
  return fusion;
}

/** The address of a state, shorter by what is as usual. */
export function written(state, about) {
  const given = new URLSearchParams();
  if (state.query) given.set("q", state.query);
  if (state.filter) given.set("f", state.filter);
  if (state.syntax !== "text") given.set("syntax", state.syntax);
  if (!state.rerank && about.reranker !== null) given.set("rerank", "0");
  if (state.meaning) given.set("meaning", "1");
  if (state.diversity) given.set("diversity", String(state.diversity));
  if (state.per) given.set("per", state.per);
  if (!same(state.fusion, about.fusion)) writeFusion(given, "", state.fusion);
  if (state.pinned) {
    writeFusion(given, "a.", state.pinned);
    if (!state.pinned.rerank && about.reranker !== null) given.set("a.rerank", "0");
  }
  if (state.selected) given.set("doc", state.selected);
  if (state.shown !== 10) given.set("n", String(state.shown));
  if (state.panel) given.set("panel", state.panel);
  if (state.why) given.set("why", state.why);
  const text = given.toString();
  return text ? `#${text}` : "";
}

function writeFusion(given, prefix, fusion) {
  given.set(`${prefix}fusion`, fusion.method);
  given.set(`${prefix}weights`, Object.entries(fusion.weights).map(([leg, weight]) => `${leg}=${weight}`).join(","));
  if (fusion.method === "rrf") given.set(`${prefix}k`, String(fusion.rank_constant));
}

/** Whether nobody has moved a weight: rules of the settings hold then. */
export function isUsual(fusion, about) {
  return Object.entries(fusion.weights).every(([leg, weight]) => about.usual_weights[fusion.method][leg] === weight);
}

/** The fusion of the query that was asked: with the weights of the rule that holds for it. */
export function ofQuery(fusion, about, found) {
  if (!found?.rule || !isUsual(fusion, about)) return fusion;
  return { ...fusion, weights: { ...fusion.weights, ...pick(found.rule.weights, about.legs) }, rule: found.rule.words };
}

const pick = (weights, legs) => Object.fromEntries(Object.entries(weights).filter(([leg]) => legs.includes(leg)));

/** A fusion as the API takes it: where nobody has moved a weight, those of the settings and their rules. */
export function asked(fusion, about) {
  const ranking = { fusion: fusion.method, rank_constant: fusion.rank_constant };
  return about.rules.length && isUsual(fusion, about) ? ranking : { ...ranking, weights: fusion.weights };
}

/** Whether two fusions rank alike. */
export function same(a, b) {
  const legs = Object.keys(a.weights);
  const equal = a.method === b.method && legs.every((leg) => a.weights[leg] === b.weights[leg]);
  return equal && (a.method !== "rrf" || a.rank_constant === b.rank_constant);
}

/** A fusion in a few words. */
export function label(fusion) {
  const weights = Object.entries(fusion.weights).map(([leg, weight]) => `${leg} ${weight}`).join(" · ");
  const constant = fusion.method === "rrf" ? ` ${fusion.rank_constant}` : "";
  return `${fusion.method}${constant} · ${weights}${fusion.rule ? ` · ${fusion.rule}` : ""}`;
}
