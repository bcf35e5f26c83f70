// Requests to the server that the page came from. Queries go in the body: an address ends up in logs.

export class RequestError extends Error {
  constructor(status, error) {
    super(error.message);
    this.status = status;
    this.what = error.what ?? error.message;
    this.where = error.where ?? null;
    this.remedy = error.remedy ?? null;
  }
}

/** The JSON of an answer; RequestError with what failed. */
export async function post(path, body, signal) {
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal };
  return read(await reached(() => fetch(path, options)));
}

export async function get(path) {
  return read(await reached(() => fetch(path, { headers: { Accept: "application/json" } })));
}

async function reached(ask) {
  try {
    return await ask();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    const remedy = "Is hybrid-search serve still running?";
    throw new RequestError(0, { message: "the server does not answer", what: "the server does not answer", remedy });
  }
}

async function read(answer) {
  let body = null;
  try {
    body = await answer.json();
  } catch {
    body = {};
  }
  if (answer.ok) return body;
  throw new RequestError(answer.status, body.error ?? { message: `the server answered ${answer.status}` });
}
