// Values of the fields to filter on among all that the legs found; a click filters by one, another takes it back.

import { byId, el, fill } from "./dom.js";

const MOST_FIELDS = 4;
const MOST_VALUES = 8;

const quoted = (value) => (/^[\w.-]+$/u.test(value) && !/^(and|or|not|in)$/i.test(value) ? value : `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`);
export const clause = (field, value) => `${quoted(field)}=${quoted(String(value))}`;

/** The parts of a filter that clicks have made, joined by "and". */
const parts = (filter) => filter.split(" and ").filter(Boolean);

export function toggled(filter, one) {
  const there = parts(filter);
  return (there.includes(one) ? there.filter((part) => part !== one) : [...there, one]).join(" and ");
}

export function showFacets(bench) {
  const place = byId("facets");
  const active = new Set(parts(bench.state.filter));
  const groups = bench.about.fields.keyword
    .map((field) => [field, counts(bench, field)])
    .filter(([field, values]) => values.length > 1 || values.some(([value]) => active.has(clause(field, value))))
    .slice(0, MOST_FIELDS);
  place.hidden = groups.length === 0;
  fill(place, groups.map(([field, values]) => group(bench, field, values, active)));
}

function counts(bench, field) {
  const counted = new Map();
  for (const { fields } of Object.values(bench.found.documents)) {
    const values = [fields[field] ?? []].flat();
    for (const value of new Set(values.map(String))) counted.set(value, (counted.get(value) ?? 0) + 1);
  }
  return [...counted].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, MOST_VALUES);
}

function group(bench, field, values, active) {
  const chips = values.map(([value, count]) => {
    const one = clause(field, value);
    const properties = { type: "button", className: "chip", "aria-pressed": String(active.has(one)) };
    return el("button", { ...properties, onclick: () => bench.filterBy(toggled(bench.state.filter, one)) }, value, el("small", {}, String(count)));
  });
  return el("div", { className: "facet", role: "group", "aria-label": `Filter by ${field}` }, el("b", {}, field), chips);
}
