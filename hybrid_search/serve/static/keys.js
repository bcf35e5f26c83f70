// Keys: only where nothing is being written.

import { byId } from "./dom.js";

const WRITING = new Set(["INPUT", "TEXTAREA", "SELECT"]);
const isWriting = (target) => WRITING.has(target.tagName) && !["checkbox", "radio", "range"].includes(target.type);

export function listenToKeys(bench) {
  document.addEventListener("keydown", (event) => {
    if (!bench.keys || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (isWriting(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const act = actions(bench)[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

function actions(bench) {
  const grade = (value) => () => bench.grades.judgeFocused(value);
  return {
    "/": () => byId("query").select(),
    "?": () => byId("help").showModal(),
    j: () => move(1),
    k: () => move(-1),
    c: () => byId("compare").click(),
    w: () => bench.whyNot.open(document.activeElement?.closest(".hit")?.dataset.id ?? ""),
    q: () => bench.queryList.toggle(),
    u: () => bench.grades.undo(),
    0: grade(0),
    1: grade(1),
    2: grade(2),
    3: grade(3),
  };
}

/** To the next hit of the list that has the focus, else to the first. */
function move(step) {
  const hits = [...document.querySelectorAll("#lists .hit")];
  const current = document.activeElement?.closest(".hit");
  const list = current?.closest("ol") ?? hits[0]?.closest("ol");
  const within = hits.filter((hit) => hit.closest("ol") === list);
  const next = within[current ? within.indexOf(current) + step : 0];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}
