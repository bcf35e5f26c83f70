// Rows glide to where they stand now; not for those who asked for less motion, and not for rows that nobody sees.

const MOST = 30;
const MOVING = new Set(["fused", "b"]);
const still = matchMedia("(prefers-reduced-motion: reduce)");

/** Where the rows are. */
export function snapshot(place) {
  const tops = new Map();
  if (still.matches) return tops;
  for (const section of place.children) {
    if (!MOVING.has(section.dataset.list)) continue;
    for (const row of [...section.querySelector("ol").children].slice(0, MOST)) tops.set(row, row.getBoundingClientRect().top);
  }
  return tops;
}

/** Let them come from there. */
export function settle(place, before) {
  const moves = [];
  for (const [row, top] of before) {
    if (!row.isConnected || !place.contains(row)) continue;
    const now = row.getBoundingClientRect().top;
    const isSeen = Math.min(top, now) < innerHeight && Math.max(top, now) > 0;
    if (Math.abs(now - top) > 1 && isSeen) moves.push([row, top - now]);
  }
  for (const [row, by] of moves) {
    row.animate([{ transform: `translateY(${by}px)` }, { transform: "none" }], { duration: 220, easing: "cubic-bezier(.2,.7,.3,1)" });
  }
}
