// Judgements by click and by key; each is on disk before it is shown as kept, and can be undone.

import { post } from "./api.js";
import { announce, el } from "./dom.js";
import { showFailure } from "./notices.js";

const MEANINGS = ["not relevant", "somewhat relevant", "relevant", "perfect"];

export class Grades {
  constructor(bench) {
    this.bench = bench;
    this.grades = {};
    this.done = []; // what can be undone: {query, id, before}
  }

  /** The grades of the documents for the query that is asked. */
  async load() {
    if (!this.bench.about.judging) return;
    const { query } = this.bench.state;
    const found = await post("/judgements/of", { query });
    if (query === this.bench.state.query) this.grades = found.grades;
  }

  buttons(id) {
    if (!this.bench.about.judging) return null;
    const row = el("div", { className: "grades", role: "group", "aria-label": "Judge" });
    row.append(...MEANINGS.map((meaning, grade) => this.button(id, grade, meaning)));
    return row;
  }

  button(id, grade, meaning) {
    const attributes = { type: "button", data: { grade }, title: meaning, "aria-label": `${grade}, ${meaning}` };
    const pressed = String(this.grades[id] === grade);
    return el("button", { ...attributes, "aria-pressed": pressed, onclick: () => this.judge(id, grade) }, String(grade));
  }

  /** The buttons of a row as they are now. */
  mark(row, id) {
    const grade = String(this.grades[id] ?? "");
    if (row.dataset.grade === grade) return;
    row.dataset.grade = grade;
    for (const button of row.querySelectorAll(".grades button")) {
      button.setAttribute("aria-pressed", String(this.grades[id] === Number(button.dataset.grade)));
    }
  }

  judgeFocused(grade) {
    const hit = document.activeElement?.closest(".hit");
    if (hit && this.bench.about.judging) this.judge(hit.dataset.id, grade);
  }

  /** Give a grade; the same again takes it back. */
  async judge(id, grade) {
    const { query } = this.bench.found;
    const wanted = this.grades[id] === grade ? null : grade;
    const answer = await this.send({ query, id, grade: wanted });
    if (answer) this.done.push({ query, id, grade: answer.before });
  }

  async undo() {
    const last = this.done.pop();
    if (!last) return announce("Nothing to undo");
    await this.send(last);
    return undefined;
  }

  async send(judgement) {
    try {
      const answer = await post("/judgements", judgement);
      if (judgement.query === this.bench.found?.query) {
        if (answer.grade === null) delete this.grades[judgement.id];
        else this.grades[judgement.id] = answer.grade;
      }
      for (const row of document.querySelectorAll("#lists .hit")) this.mark(row, row.dataset.id);
      announce(answer.grade === null ? "Judgement taken back" : `Judged ${answer.grade}`);
      this.bench.queryList.measureSoon();
      return answer;
    } catch (error) {
      showFailure(error);
      return null;
    }
  }
}

