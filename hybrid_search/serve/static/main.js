// The page: what it knows, and what happens when something of it changes. Parts get `bench` and call its methods.

import { post } from "./api.js";
import { announce, byId, fill } from "./dom.js";
import { showExport } from "./export.js";
import { showFacets } from "./facets.js";
import { boosted, combine, fuse } from "./fusion.js";
import { Grades } from "./grades.js";
import { listenToKeys } from "./keys.js";
import { showLists } from "./lists.js";
import { showFailure, showWarnings } from "./notices.js";
import { Spread } from "./spread.js";
import { QueryList } from "./queries.js";
import * as states from "./state.js";
import { showTiming } from "./timing.js";
import { Tuning } from "./tuning.js";
import { WhyNot } from "./whynot.js";

const about = JSON.parse(byId("about").textContent);

const bench = {
  about,
  state: states.read(location.hash, about),
  found: null, // the answer of /runs
  scores: new Map(), // of the reranker, by passage
  rankings: {}, // what the lists show
  tookMs: null,

  /** Something of the ranking has changed: show it at once, and ask the reranker when it is left alone. */
  ranked() {
    bench.show();
    keepSoon();
    rerankSoon();
    queryList.measureSoon();
  },

  /** Write the state into the address. */
  keep({ replace = false } = {}) {
    const address = states.written(bench.state, about) || location.pathname;
    if (address === location.hash) return;
    history[replace ? "replaceState" : "pushState"](null, "", address);
  },

  show() {
    const begin = performance.now();
    tuning.show();
    spread.show();
    byId("welcome").hidden = bench.found !== null;
    if (bench.found) {
      bench.rankings = rankings();
      showFacets(bench);
      showLists(bench);
    }
    bench.tookMs = performance.now() - begin;
    showTiming(bench);
    byId("compare").setAttribute("aria-pressed", String(bench.state.pinned !== null));
  },

  /** Filter by a value of a field, or no longer. */
  filterBy(filter) {
    bench.state.filter = filter;
    byId("filter").value = filter;
    return search();
  },

  ask(query) {
    byId("query").value = query;
    Object.assign(bench.state, { query, selected: null, shown: 10 });
    return search();
  },

  select(id) {
    bench.state.selected = id;
    bench.keep({ replace: true });
  },

  /** What is searched for, as the API takes it. */
  asked: () => ({ query: bench.state.query, filter: bench.state.filter || null, syntax: bench.state.syntax }),

  search: () => search(),

  /** The fusion of this query, a rule for it among the settings. */
  inUse: (fusion = bench.state.fusion) => states.ofQuery(fusion, about, bench.found),

  /** Whether single keys do anything: some speak or type without meaning them. */
  keys: localStorage.getItem("keys") !== "off",
};

const tuning = new Tuning(bench);
const spread = new Spread(bench);
bench.grades = new Grades(bench);
const queryList = new QueryList(bench);
bench.queryList = queryList;
bench.whyNot = new WhyNot(bench);

/** What is shown: the settings of the sliders, those that are pinned, and the order before reranking. */
function rankings() {
  const { fusion, rerank, pinned } = bench.state;
  const shown = { b: spread.applied(ranking(bench.inUse(), rerank), fusion, rerank) };
  if (pinned) shown.a = spread.applied(ranking(bench.inUse(pinned), pinned.rerank), pinned, pinned.rerank);
  return shown;
}

/** The fused hits whose passages are there, boosted and placed as the settings say. */
function fused(fusion) {
  const hits = boosted(fuse(bench.found.runs, fusion), bench.found.boosts, bench.found.runs);
  return hits.filter((hit) => bench.found.passages[hit.passage]);
}

/** Those of them that the reranker scores. */
const reranked = (hits) => hits.filter((hit) => !hit.placed).slice(0, about.rerank.window);

function ranking(fusion, rerank) {
  const hits = fused(fusion);
  const asIs = () => hits.map((hit) => ({ ...hit, final: hit.score, rerank: null }));
  const scores = [];
  for (const hit of rerank ? reranked(hits) : []) {
    const score = bench.scores.get(hit.passage);
    if (score === undefined) return asIs(); // not asked yet
    if (score === null) break; // the reranker had no time for it, nor for what is below
    scores.push(score);
  }
  return scores.length ? combine(hits, scores, about.rerank.weight) : asIs();
}

let asking = new AbortController();

async function search(how = {}) {
  bench.state.query = byId("query").value.trim();
  bench.state.filter = byId("filter").value.trim();
  bench.keep(how);
  asking.abort();
  asking = new AbortController();
  fill(byId("notices"));
  if (!bench.state.query) {
    bench.found = null;
    fill(byId("lists"));
    for (const part of ["facets", "timing", "tabs"]) byId(part).hidden = true;
    bench.show();
    return;
  }
  document.body.classList.add("is-busy");
  try {
    const [found] = await Promise.all([post("/runs", { ...bench.asked(), highlight: bench.state.meaning }, asking.signal), bench.grades.load()]);
    bench.found = found;
    bench.scores = new Map();
    spread.clear();
    bench.show();
    showWarnings(found);
    await rerank();
    announce(`${bench.rankings.b.length} documents for ${bench.state.query}`);
  } catch (error) {
    if (error.name === "AbortError") return;
    bench.found = null;
    fill(byId("lists"));
    bench.show();
    showFailure(error);
  }
  document.body.classList.remove("is-busy");
}

/** Ask for the scores of passages that have none yet. */
async function rerank() {
  const { fusion, pinned, rerank: on } = bench.state;
  const wanted = [on && fusion, pinned?.rerank && pinned].filter(Boolean);
  for (const one of bench.found ? wanted : []) {
    const window = reranked(fused(bench.inUse(one)));
    if (window.every((hit) => bench.scores.has(hit.passage))) continue;
    const k = about.rerank.window + bench.found.boosts.pinned.length;
    const ranking = states.asked(one, about);
    document.body.classList.add("is-reranking");
    try {
      const found = await post("/search", { ...bench.asked(), ...ranking, rerank: true, k }, asking.signal);
      for (const hit of found.hits) if (hit.rerank) bench.scores.set(hit.passage_id, hit.rerank.score);
      bench.found.took_ms.rerank = found.took_ms.rerank;
      for (const hit of window) if (!bench.scores.has(hit.passage)) bench.scores.set(hit.passage, null);
      showWarnings(found);
    } finally {
      document.body.classList.remove("is-reranking");
    }
    bench.show();
  }
  await spreadOut();
}

/** Ask for the order of hits that are spread. */
async function spreadOut() {
  const { fusion, rerank: on, pinned } = bench.state;
  const wanted = bench.found ? [[fusion, on], ...(pinned ? [[pinned, pinned.rerank]] : [])] : [];
  document.body.classList.toggle("is-reranking", spread.isOn && wanted.length > 0);
  try {
    for (const [one, reranked_] of wanted) if (await spread.ask(one, reranked_, asking.signal)) bench.show();
  } finally {
    document.body.classList.remove("is-reranking");
  }
}

let keeping = 0;

/** Browsers count how often an address is changed: once for a slider that moves. */
function keepSoon() {
  clearTimeout(keeping);
  keeping = setTimeout(() => bench.keep({ replace: true }), 100);
}

let waiting = 0;

function rerankSoon() {
  clearTimeout(waiting);
  waiting = setTimeout(() => rerank().catch((error) => error.name === "AbortError" || showFailure(error)), 250);
}

function readState() {
  bench.state = states.read(location.hash, about);
  byId("query").value = bench.state.query;
  byId("filter").value = bench.state.filter;
  byId("syntax").checked = bench.state.syntax === "simple";
  if (byId("rerank")) byId("rerank").checked = bench.state.rerank;
  if (byId("meaning")) byId("meaning").checked = bench.state.meaning;
  queryList.open(bench.state.panel === "queries");
  if (bench.state.why) bench.whyNot.open(bench.state.why);
  return search({ replace: true }); // what is there already is no new entry of the history
}

byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  bench.state.selected = null;
  bench.state.shown = 10;
  search().then(() => byId("results").focus({ preventScroll: true })); // the keys work then
});
byId("syntax").addEventListener("change", () => {
  bench.state.syntax = byId("syntax").checked ? "simple" : "text";
  search();
});
byId("meaning")?.addEventListener("change", () => {
  bench.state.meaning = byId("meaning").checked;
  search();
});
byId("rerank")?.addEventListener("change", () => {
  bench.state.rerank = byId("rerank").checked;
  bench.ranked();
});
byId("compare").addEventListener("click", () => {
  const { pinned, fusion, rerank: on } = bench.state;
  bench.state.pinned = pinned ? null : { ...structuredClone(fusion), rerank: on };
  bench.ranked();
});
byId("reset").addEventListener("click", () => {
  bench.state.fusion = structuredClone(about.fusion);
  bench.ranked();
});
byId("export").addEventListener("click", () => showExport(bench));
byId("keys-on").checked = bench.keys;
byId("keys-on").addEventListener("change", () => {
  bench.keys = byId("keys-on").checked;
  localStorage.setItem("keys", bench.keys ? "on" : "off");
});
byId("open-help").addEventListener("click", () => byId("help").showModal());
byId("open-queries").addEventListener("click", () => queryList.toggle());
window.addEventListener("popstate", () => location.hash === "#results" || readState());
listenToKeys(bench);
if (!bench.state.query) byId("query").focus();
readState().then(() => document.documentElement.setAttribute("data-ready", ""));
