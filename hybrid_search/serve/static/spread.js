// The fused list with unlike hits first, and at most so many of one value: in the order that the server gives it.

import { post } from "./api.js";
import { byId } from "./dom.js";
import { asked } from "./state.js";

const MOST = 100; // hits that are spread

export class Spread {
  constructor(bench) {
    this.bench = bench;
    this.orders = new Map();
    const changed = (change) => () => {
      change(bench.state);
      bench.ranked();
    };
    byId("diversity")?.addEventListener("input", changed((state) => (state.diversity = Number(byId("diversity").value))));
    for (const id of ["per", "per-most"]) {
      byId(id)?.addEventListener("change", changed((state) => (state.per = perOf(byId("per").value, byId("per-most").value))));
    }
  }

  /** Put the controls where the state says. */
  show() {
    const { diversity, per } = this.bench.state;
    const [, field, most] = per.match(/^(.*)=(\d+)$/) ?? ["", "", "1"];
    if (byId("diversity")) byId("diversity").value = diversity;
    byId("diversity")?.style.setProperty("--filled", `${100 * diversity}%`);
    if (byId("diversity-shown")) byId("diversity-shown").textContent = String(diversity);
    if (!byId("per")) return;
    byId("per").value = field;
    byId("per-most").value = most;
  }

  get isOn() {
    return this.bench.state.diversity > 0 || this.bench.state.per !== "";
  }

  /** Hits in the order that was given for these settings; as they are where none was yet. */
  applied(hits, fusion, rerank) {
    const order = this.isOn ? this.orders.get(this.key(fusion, rerank)) : null;
    if (!order) return hits;
    const found = new Map(hits.map((hit) => [hit.id, hit]));
    return order.filter((id) => found.has(id)).map((id) => found.get(id));
  }

  /** Ask for the order, where it is not known; whether there is a new one. */
  async ask(fusion, rerank, signal) {
    const key = this.key(fusion, rerank);
    if (!this.isOn || this.orders.has(key)) return false;
    const { diversity, per } = this.bench.state;
    const spread = { ...(diversity > 0 ? { diversity } : {}), ...(per ? { max_per: [per] } : {}) };
    const how = { ...asked(fusion, this.bench.about), ...spread, rerank, k: Math.min(MOST, this.bench.about.window) };
    const found = await post("/search", { ...this.bench.asked(), ...how }, signal);
    this.orders.set(key, found.hits.map((hit) => hit.id));
    return true;
  }

  /** What was given for another query is of no use. */
  clear() {
    this.orders.clear();
  }

  key(fusion, rerank) {
    const { diversity, per } = this.bench.state;
    return JSON.stringify([asked(fusion, this.bench.about), rerank, diversity, per]);
  }
}

const perOf = (field, most) => (field ? `${field}=${most}` : "");
