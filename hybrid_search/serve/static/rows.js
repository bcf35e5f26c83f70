// One document in a list: its rank and how that changed, what it says, and what each leg gave to it.

import { byId, el, fill, shown } from "./dom.js";

const MOST_FIELDS = 4;
const ALL_ABSENT = 10;

/** The rows of one list: made once for each document, and changed when its rank is. */
export class HitRows {
  constructor(bench) {
    this.bench = bench;
    this.made = new Map();
  }

  /** A hit of a fused ranking; change says how its rank differs from another. */
  hit(hit, rank, { most, change }) {
    if (!this.made.has(hit.id)) this.made.set(hit.id, this.make(hit.id));
    const row = this.made.get(hit.id);
    write(row.rank, String(rank));
    this.showText(row, hit.passage);
    showChange(row.change, change);
    this.showLegs(row, hit, most);
    write(row.score, shown(hit.final));
    put(row.score, "title", explained(hit));
    put(row.element.dataset, "placed", hit.placed ?? "");
    this.bench.grades.mark(row.element, hit.id);
    return row.element;
  }

  make(id) {
    const document_ = this.bench.found.documents[id] ?? { title: null, fields: {} };
    const rank = el("span", { className: "rank" });
    const change = el("span", { className: "change" });
    const text = el("p", { className: "text", dir: "auto" });
    const score = el("span", { className: "score" });
    const legs = Object.fromEntries(this.bench.about.legs.map((leg) => [leg, this.leg(leg)]));
    const bar = el("div", { className: "bar", "aria-hidden": "true" }, Object.values(legs).map((leg) => leg.part));
    const places = el("p", { className: "places" }, Object.values(legs).map((leg) => leg.place), score);
    const title = el("h3", { dir: "auto" }, document_.title || id);
    const aside = el("p", { className: "fields" }, document_.title ? el("span", { className: "id" }, id) : null, fieldsOf(document_.fields));
    const body = el("div", { className: "body" }, title, text, bar, places, aside, this.bench.grades.buttons(id));
    const element = el("li", { className: "hit", tabindex: "0", data: { id } }, el("div", { className: "ranks" }, rank, change), body, this.frame(id, document_.title));
    this.listen(element, id);
    return { element, rank, change, text, score, legs, passage: null };
  }

  /** A place for the thumbnail of a document, where the index may have some: nothing moves when it comes or does not. */
  frame(id, title) {
    if (!this.bench.about.pictures) return null;
    const picture = el("img", { className: "picture", alt: title ? `Picture: ${title}` : `Picture of ${id}`, loading: "lazy" });
    picture.addEventListener("load", () => count(true));
    picture.addEventListener("error", () => {
      picture.remove();
      count(false);
    });
    picture.src = `/thumbnail?id=${encodeURIComponent(id)}`;
    return el("div", { className: "frame" }, picture);
  }

  leg(leg) {
    return { part: el("i", { data: { leg } }), place: el("span", { className: "place", data: { leg } }) };
  }

  showText(row, passage) {
    if (row.passage === passage) return;
    row.passage = passage;
    const { parts, is_begun: isBegun, goes_on: goesOn } = this.bench.found.passages[passage];
    fill(row.text, isBegun ? "… " : null, parts.map(([text, marked]) => (marked ? el("mark", {}, text) : text)), goesOn ? " …" : null);
  }

  /** The bar of contributions, and the rank of the hit in every leg. */
  showLegs(row, hit, most) {
    for (const [leg, { part, place }] of Object.entries(row.legs)) {
      const found = hit.legs[leg];
      const share = found ? Math.round((10000 * found.contribution) / most) / 100 : 0;
      const width = `${share}%`;
      if (part.style.inlineSize !== width) part.style.inlineSize = width;
      write(place, `${leg} ${found ? found.rank : "–"}`);
      put(place, "title", found ? `score ${shown(found.score)}, gives ${shown(found.contribution)}` : "not found");
      if (place.classList.contains("is-missing") === Boolean(found)) place.classList.toggle("is-missing", !found);
    }
  }

  /** A hit of one leg, with its rank in the fused list. */
  ofLeg([id, passage, score], rank, { leg, best, fused }) {
    if (!this.made.has(id)) this.made.set(id, this.makeOfLeg(id, passage, score, rank, { leg, best }));
    const row = this.made.get(id);
    write(row.fused, fused === undefined ? "–" : String(fused));
    put(row.fused, "title", fused === undefined ? "not in the fused list" : `${fused} in the fused list`);
    this.bench.grades.mark(row.element, id);
    return row.element;
  }

  makeOfLeg(id, passage, score, rank, { leg, best }) {
    const document_ = this.bench.found.documents[id] ?? {};
    const bar = el("i", { data: { leg }, "aria-hidden": "true" });
    bar.style.inlineSize = `${Math.max(0, Math.min(100, (100 * score) / best))}%`;
    const fused = el("span", { className: "fused" });
    const title = el("h3", { dir: "auto" }, document_.title || id);
    const body = el("div", { className: "body" }, title, el("div", { className: "bar" }, bar), el("p", { className: "places" }, el("span", {}, shown(score)), fused));
    const ranks = el("div", { className: "ranks" }, el("span", { className: "rank" }, String(rank)));
    const element = el("li", { className: "hit small", tabindex: "0", data: { id, passage } }, ranks, body, this.frame(id, document_.title));
    this.listen(element, id);
    return { element, fused };
  }

  listen(element, id) {
    const point = (isOn) => () => highlight(id, isOn, "is-linked");
    element.addEventListener("pointerenter", point(true));
    element.addEventListener("pointerleave", point(false));
    element.addEventListener("focus", point(true));
    element.addEventListener("blur", point(false));
    const select = () => {
      this.bench.select(this.bench.state.selected === id ? null : id);
      linkRows(this.bench);
    };
    element.addEventListener("click", (event) => event.target.closest("button, a") || getSelection().toString() || select());
    element.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target === element) select();
    });
  }
}

function highlight(id, isOn, name) {
  for (const row of byId("lists").querySelectorAll(`.hit[data-id="${CSS.escape(id)}"]`)) row.classList.toggle(name, isOn);
}

const pictures = { there: 0, absent: 0 };

/** Where the first hits have no thumbnails at all, they get the room that was kept for them. */
function count(isThere) {
  pictures[isThere ? "there" : "absent"] += 1;
  byId("lists").classList.toggle("without-pictures", pictures.there === 0 && pictures.absent >= ALL_ABSENT);
}

let linked = null;

/** Mark the selected document wherever it stands. */
export function linkRows(bench) {
  if (linked === null && bench.state.selected === null) return;
  linked = bench.state.selected;
  for (const row of byId("lists").querySelectorAll(".hit.is-selected")) row.classList.remove("is-selected");
  if (bench.state.selected) highlight(bench.state.selected, true, "is-selected");
}

/** How the score came about. */
function explained(hit) {
  const boost = hit.factor && hit.factor !== 1 ? `, boosted by ${shown(hit.factor)}` : "";
  const placed = hit.placed ? `, ${hit.placed} by the settings` : "";
  return `${hit.rerank ? `fused ${shown(hit.score)}, reranker ${shown(hit.rerank.score)}` : "fused score"}${boost}${placed}`;
}

function fieldsOf(fields) {
  const short = Object.entries(fields).filter(([, value]) => value !== null && String(value).length <= 40);
  return short.slice(0, MOST_FIELDS).map(([name, value]) => el("span", {}, `${name} ${Array.isArray(value) ? value.join(", ") : value}`));
}

function showChange(element, change) {
  write(element, change?.text ?? "");
  put(element, "title", change?.title ?? "");
  put(element.dataset, "kind", change?.kind ?? "");
  if (element.classList.contains("is-strong") !== Boolean(change?.strong)) element.classList.toggle("is-strong");
}

/** A property where it differs: an attribute that is written anew costs a look at all styles. */
function put(object, name, value) {
  if (object[name] !== value) object[name] = value;
}

/** Text where it differs: what does not change costs no layout. */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
