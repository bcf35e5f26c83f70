// What failed, and what an answer lacks.

import { byId, el, fill } from "./dom.js";

/** An error in the place where nothing could be shown: what failed, where, and what to do. */
export function showFailure(error) {
  const what = error.what ?? error.message;
  fill(
    byId("notices"),
    el(
      "div",
      { className: "failure" },
      el("strong", {}, what),
      error.where ? el("span", { className: "where" }, error.where) : null,
      error.remedy ? el("span", { className: "remedy" }, error.remedy) : null,
    ),
  );
}

export function showWarnings(found) {
  fill(byId("notices"), found.warnings.map((warning) => el("div", { className: "warning" }, warning)));
}
