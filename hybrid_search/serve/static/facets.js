// What the server counted of the fields to filter on; a click filters by a value, another takes it back.

import { byId, el, fill } from "./dom.js";

const MOST_FIELDS = 4;
const MOST_VALUES = 8;
const AND = " and ";

/** A filter that also asks for this. */
export function joined(filter, one) {
  if (!filter) return one;
  return `${/\sor\s/i.test(filter) ? `(${filter})` : filter}${AND}${one}`;
}

/** A filter without one of its conditions; null where it is no part of it that could be taken out. */
export function without(filter, one) {
  if (filter === one) return "";
  if (filter.startsWith(one + AND)) return filter.slice((one + AND).length);
  if (filter.endsWith(AND + one)) return filter.slice(0, -(AND + one).length);
  const place = filter.indexOf(AND + one + AND);
  return place < 0 ? null : filter.slice(0, place) + filter.slice(place + (AND + one).length);
}

/** By a value, or no longer; what somebody has written otherwise they must change themselves. */
function toggle(bench, filter, isSelected) {
  const next = isSelected ? without(bench.state.filter, filter) : joined(bench.state.filter, filter);
  if (next === null) byId("filter").focus();
  else bench.filterBy(next);
}

let shownOf = null;

export function showFacets(bench) {
  const place = byId("facets");
  if (shownOf === bench.found) return; // another ranking of the same documents
  shownOf = bench.found;
  const facets = Object.entries(bench.found.facets).filter(([, facet]) => facet.values.length > 1 || facet.values.some((one) => one.selected));
  place.hidden = facets.length === 0;
  fill(place, facets.slice(0, MOST_FIELDS).map(([name, facet]) => group(bench, name, facet)));
}

function group(bench, name, facet) {
  const chips = facet.values.slice(0, MOST_VALUES).map(({ value, count, filter, selected }) => {
    const properties = { type: "button", className: "chip", "aria-pressed": String(selected) };
    return el("button", { ...properties, onclick: () => toggle(bench, filter, selected) }, String(value), el("small", {}, String(count)));
  });
  return el("div", { className: "facet", role: "group", "aria-label": `Filter by ${name}` }, el("b", {}, name), chips);
}
