// The lists side by side: the fused one and those of the legs, or two settings against each other.

import { byId, el, fill, milliseconds, shown } from "./dom.js";
import { overlap } from "./fusion.js";
import { settle, snapshot } from "./motion.js";
import { HitRows, linkRows } from "./rows.js";
import { label } from "./state.js";

const MORE = 20;
const DEPTH = 10;
const caches = { found: null, lists: new Map() };

/** Show what the bench has ranked; rows that are there already move. */
export function showLists(bench) {
  if (caches.found !== bench.found) {
    caches.found = bench.found;
    caches.lists.clear();
  }
  const place = byId("lists");
  const before = snapshot(place);
  const { a, b } = bench.rankings;
  const sections = a ? comparing(bench, a, b) : sideBySide(bench, b);
  if (place.children.length !== sections.length || sections.some((section, n) => section !== place.children[n])) fill(place, sections);
  place.style.setProperty("--legs", bench.about.legs.length);
  place.dataset.view = a ? "compare" : "legs";
  showTabs(place, sections);
  linkRows(bench);
  settle(place, before);
}

function sideBySide(bench, fused) {
  const ranks = new Map(fused.map((hit, n) => [hit.id, n + 1]));
  const main = list(bench, "fused", bench.state.rerank ? "reranked" : "fused");
  main.showHits(fused, (hit, n) => moved(hit.rerank?.rank_before, n + 1, "before reranking"));
  main.note(`${fused.length} documents`);
  const legs = bench.about.legs.map((leg) => {
    const one = list(bench, leg, leg);
    one.showLeg(leg, bench.found.runs[leg]?.hits ?? [], ranks, bench.found.legs[leg]);
    return one.section;
  });
  return [main.section, ...legs];
}

function comparing(bench, a, b) {
  const [left, right] = [list(bench, "a", "A"), list(bench, "b", "B")];
  const [ranksA, ranksB] = [a, b].map((hits) => new Map(hits.map((hit, n) => [hit.id, n + 1])));
  left.showHits(a, (hit, n) => difference(ranksB.get(hit.id), n + 1, "B"));
  right.showHits(b, (hit, n) => difference(ranksA.get(hit.id), n + 1, "A"));
  const [topA, topB] = [a, b].map((hits) => hits.slice(0, DEPTH).map((hit) => hit.id));
  const shared = topA.filter((id) => topB.includes(id)).length;
  left.note(label(bench.state.pinned));
  right.note(label(bench.inUse()));
  const alike = overlap(a.map((hit) => hit.id), b.map((hit) => hit.id));
  const summary = caches.lists.get("summary") ?? el("p", { className: "summary", id: "difference" });
  caches.lists.set("summary", summary);
  fill(summary, el("b", {}, `${shared} of ${Math.max(topA.length, topB.length)}`), ` of the first ten are shared; rank-biased overlap ${shown(alike)}`);
  return [summary, left.section, right.section];
}

/** Where a hit was, and whether that is above or below. */
function moved(before, now, than) {
  if (before === undefined || before === now) return null;
  return { kind: before > now ? "up" : "down", text: `${before > now ? "▲" : "▼"}${Math.abs(before - now)}`, title: `was ${before} ${than}` };
}

function difference(other, now, name) {
  if (other === undefined) return { kind: "only", text: "only here", title: `${name} does not find it` };
  if (other === now) return null;
  const isNear = other <= DEPTH;
  return { kind: other > now ? "up" : "down", text: `${name} ${other}`, title: `${name} has it at ${other}`, strong: isNear !== now <= DEPTH };
}

function list(bench, name, title) {
  if (!caches.lists.has(name)) caches.lists.set(name, new List(bench, name));
  const one = caches.lists.get(name);
  one.title.textContent = title;
  return one;
}

class List {
  constructor(bench, name) {
    this.bench = bench;
    this.name = name;
    this.rows = new HitRows(bench);
    this.title = el("h2", { id: `list-${name}`, className: bench.about.legs.includes(name) ? "leg-name" : null, data: { leg: name } });
    this.said = el("p", { className: "note" });
    this.list = el("ol", { "aria-labelledby": `list-${name}` });
    this.more = el("button", { type: "button", className: "more-hits", onclick: () => this.showMore() }, "More");
    this.section = el("section", { className: "list", data: { list: name } }, el("header", {}, this.title, this.said), this.list, this.more);
  }

  note(text) {
    this.said.textContent = text;
  }

  showHits(hits, change) {
    const visible = hits.slice(0, this.bench.state.shown);
    const most = Math.max(...visible.map((hit) => hit.score), Number.MIN_VALUE);
    this.put(visible.map((hit, n) => this.rows.hit(hit, n + 1, { most, change: change(hit, n) })));
    this.more.hidden = hits.length <= visible.length;
    if (!hits.length) fill(this.list, el("li", { className: "empty" }, "Nothing found."));
  }

  showLeg(leg, hits, ranks, report) {
    this.note(report?.failure ? "" : `${hits.length} of its window · ${milliseconds(report?.took_ms ?? 0)} ms`);
    const visible = hits.slice(0, this.bench.state.shown);
    const best = visible[0]?.[2] || 1;
    this.put(visible.filter((hit) => this.bench.found.passages[hit[1]]).map((hit, n) => this.rows.ofLeg(hit, n + 1, { leg, best, fused: ranks.get(hit[0]) })));
    this.more.hidden = hits.length <= visible.length;
    if (report?.failure) fill(this.list, el("li", { className: "failure" }, `The ${leg} leg failed: ${report.failure}`));
    else if (!hits.length) fill(this.list, el("li", { className: "empty" }, "Found nothing."));
  }

  /** The rows in this order; those that stay are the same elements, so that the focus stays with them. */
  put(rows) {
    rows.forEach((row, n) => {
      const there = this.list.children[n];
      if (there !== row) this.list.insertBefore(row, there ?? null);
    });
    while (this.list.children.length > rows.length) this.list.lastElementChild.remove();
  }

  showMore() {
    this.bench.state.shown += MORE;
    this.bench.keep({ replace: true });
    this.bench.show();
  }
}

/** On a narrow screen one list is seen at a time; these choose which. */
function showTabs(place, sections) {
  const tabs = byId("tabs");
  const lists = sections.filter((section) => section.dataset.list);
  const names = lists.map((section) => section.dataset.list);
  if (!names.includes(place.dataset.current)) place.dataset.current = names.at(names.includes("b") ? 1 : 0);
  const choose = (name) => {
    place.dataset.current = name;
    showTabs(place, sections);
  };
  tabs.hidden = false;
  for (const section of lists) section.classList.toggle("is-current", section.dataset.list === place.dataset.current);
  fill(tabs, lists.map((section) => {
    const name = section.dataset.list;
    const properties = { type: "button", data: { leg: name }, "aria-pressed": String(name === place.dataset.current) };
    return el("button", { ...properties, onclick: () => choose(name) }, section.querySelector("h2").textContent);
  }));
}
