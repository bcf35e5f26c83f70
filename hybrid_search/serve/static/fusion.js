// Fusion and reranking as hybrid_search/search/fusion.py and rerank.py do them, to the last bit where JavaScript can:
// sums are exact before they are rounded (Shewchuk, as Python's math.fsum), and ids are compared by code points.

export const RANK_CONSTANT = 60;

/** The sum of numbers, rounded once. */
export function fsum(values) {
  const partials = [];
  for (let x of values) {
    let used = 0;
    for (let y of partials) {
      if (Math.abs(x) < Math.abs(y)) [x, y] = [y, x];
      const high = x + y;
      const low = y - (high - x);
      if (low !== 0) partials[used++] = low;
      x = high;
    }
    partials.length = used;
    partials.push(x);
  }
  return rounded(partials);
}

function rounded(partials) {
  let left = partials.length;
  if (left === 0) return 0;
  let high = partials[--left];
  let low = 0;
  while (left > 0 && low === 0) {
    const x = high;
    const y = partials[--left];
    high = x + y;
    low = y - (high - x);
  }
  if (left > 0 && Math.sign(low) === Math.sign(partials[left - 1]) && low !== 0) {
    const twice = low * 2; // exactly half way: what is left says to which side
    const x = high + twice;
    if (x - high === twice) high = x;
  }
  return high;
}

/** Ids in the order of their code points; JavaScript's own order is that of UTF-16. */
export function compareIds(a, b) {
  const length = Math.min(a.length, b.length);
  for (let n = 0; n < length; n++) {
    const x = a.charCodeAt(n);
    const y = b.charCodeAt(n);
    if (x !== y) return moved(x) - moved(y);
  }
  return a.length - b.length;
}

const moved = (unit) => (unit < 0xd800 ? unit : unit >= 0xe000 ? unit - 0x800 : unit + 0x2000);

const lowest = (scores, missing) => {
  const all = missing === null ? scores : [...scores, missing];
  return all.length ? Math.min(...all) : 0;
};
const highest = (scores, otherwise) => (scores.length ? Math.max(...scores) : otherwise);
const scaled = (scores, low, span) => scores.map((score) => (span > 0 ? (score - low) / span : 1));

function minMax(scores, missing) {
  const low = lowest(scores, missing);
  return scaled(scores, low, highest(scores, low) - low);
}

function zScore(scores, missing) {
  const population = missing === null ? scores : [...scores, missing];
  if (!population.length) return [];
  const mean = fsum(population) / population.length;
  const squares = population.map((score) => (score - mean) * (score - mean));
  return scaled(scores, Math.min(...population), Math.sqrt(fsum(squares) / population.length));
}

function theoreticalMinimum(scores) {
  const low = Math.min(0, ...scores);
  return scaled(scores, low, highest(scores, low) - low);
}

function worths(scores, missing, fusion) {
  if (fusion.method === "rrf") return scores.map((_, n) => 1 / (fusion.rank_constant + n + 1));
  return { "min-max": minMax, "z-score": zScore, "theoretical-min": theoreticalMinimum }[fusion.method](scores, missing);
}

/** The legs that have a say, and the share of each; without any, none. */
export function shares(legs, fusion) {
  const heard = legs.filter((leg) => (fusion.weights[leg] ?? 1) > 0);
  const total = fsum(heard.map((leg) => fusion.weights[leg] ?? 1));
  const share = (leg) => (fusion.weights[leg] ?? 1) / (fusion.method === "rrf" ? 1 : total);
  return Object.fromEntries(heard.map((leg) => [leg, share(leg)]));
}

/**
 * One ranking of all documents of all runs.
 * runs: {leg: {hits: [[document, passage, score], ...], missing: number or null}}
 * fusion: {method, weights: {leg: number}, rank_constant}
 * Returns [{id, score, passage, legs: {leg: {rank, score, contribution}}}, ...], the best first, ties by id.
 */
export function fuse(runs, fusion) {
  const share = shares(Object.keys(runs), fusion);
  const found = new Map();
  for (const leg of Object.keys(share)) {
    const ranked = [...runs[leg].hits].sort((a, b) => b[2] - a[2] || compareIds(a[0], b[0]));
    const worth = worths(ranked.map((hit) => hit[2]), runs[leg].missing, fusion);
    ranked.forEach(([id, passage, score], n) => {
      if (!found.has(id)) found.set(id, { id, score: 0, passage: null, legs: {} });
      found.get(id).legs[leg] = { rank: n + 1, score, contribution: share[leg] * worth[n], passage };
    });
  }
  const fused = [...found.values()];
  for (const hit of fused) {
    const legs = Object.values(hit.legs);
    hit.score = fsum(legs.map((leg) => leg.contribution));
    hit.passage = legs.reduce((best, leg) => (leg.contribution > best.contribution ? leg : best)).passage;
  }
  return fused.sort((a, b) => b.score - a.score || compareIds(a.id, b.id));
}

/**
 * A fused ranking boosted, and what is pinned and buried in its place.
 * boosts: {factors: {document: number}, pinned: [document, ...], buried: [...], added: {document: passage}}
 */
export function boosted(fused, boosts, runs) {
  const { factors, pinned, buried, added } = boosts;
  if (!pinned.length && !buried.length && !Object.keys(factors).length) return fused;
  const place = (id) => (pinned.includes(id) ? "pinned" : buried.includes(id) ? "buried" : null);
  const found = new Set(fused.map((hit) => hit.id));
  const unfound = pinned.filter((id) => !found.has(id)).map((id) => [id, added[id] ?? passageOf(id, runs)]);
  const hits = [...fused, ...unfound.filter(([, passage]) => passage).map(([id, passage]) => ({ id, score: 0, passage, legs: {} }))].map((hit) => {
    const factor = factors[hit.id] ?? 1;
    return { ...hit, factor, score: hit.score >= 0 ? hit.score * factor : hit.score / factor, placed: place(hit.id) };
  });
  hits.sort((a, b) => b.score - a.score || b.factor - a.factor || compareIds(a.id, b.id));
  const of = (placed) => hits.filter((hit) => hit.placed === placed);
  return [...of("pinned").sort((a, b) => pinned.indexOf(a.id) - pinned.indexOf(b.id)), ...of(null), ...of("buried")];
}

/** A passage of a document that only legs without a say have found. */
function passageOf(id, runs) {
  for (const run of Object.values(runs)) for (const [found, passage] of run.hits) if (found === id) return passage;
  return null;
}

/**
 * The fused ranking with its first hits reranked: scores of the reranker min-max combined with those of the fusion.
 * scores: as many as hits are reranked; weight: the reranker's share. What is pinned or buried stays where it is.
 */
export function combine(fused, scores, weight) {
  const as = (hit) => ({ ...hit, final: hit.score, rerank: null });
  const pinned = fused.filter((hit) => hit.placed === "pinned").map(as);
  const buried = fused.filter((hit) => hit.placed === "buried").map(as);
  const free = fused.filter((hit) => !hit.placed);
  const window = scores.length;
  const first = unit(free.map((hit) => hit.score), window);
  const second = unit(scores, window);
  const above = free.slice(0, window).map((hit, n) => {
    const combined = (1 - weight) * first[n] + weight * second[n];
    return { ...hit, final: combined, rerank: { rank_before: pinned.length + n + 1, score: scores[n], combined } };
  });
  const below = free.slice(window).map((hit, n) => ({ ...hit, final: (1 - weight) * first[window + n], rerank: null }));
  return [...pinned, ...above.sort((a, b) => b.final - a.final), ...below, ...buried];
}

function unit(values, window) {
  const seen = values.slice(0, window);
  const low = seen.length ? Math.min(...seen) : 0;
  const high = seen.length ? Math.max(...seen) : 0;
  return values.map((value) => (high > low ? (value - low) / (high - low) : 0));
}

/** Rank-biased overlap of two rankings of ids cut at the same depth, extrapolated (Webber, Moffat, Zobel, TOIS 2010). */
export function overlap(a, b, p = 0.9) {
  const depth = Math.min(a.length, b.length);
  if (depth === 0) return a.length === b.length ? 1 : 0;
  const seenA = new Set();
  const seenB = new Set();
  let shared = 0;
  let sum = 0;
  for (let d = 1; d <= depth; d++) {
    const [x, y] = [a[d - 1], b[d - 1]];
    if (x === y) shared += 1;
    else shared += (seenB.has(x) ? 1 : 0) + (seenA.has(y) ? 1 : 0);
    seenA.add(x);
    seenB.add(y);
    sum += (shared / d) * p ** (d - 1);
  }
  return (1 - p) * sum + (shared / depth) * p ** depth;
}
