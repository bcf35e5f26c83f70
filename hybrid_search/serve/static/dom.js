// Elements without markup: what a document says is a text node, whatever it holds.

const SVG = new Set(["svg", "path", "title"]);

/** An element; properties that begin with "on" listen, "data" and "style" are objects, null children are left out. */
export function el(tag, properties = {}, ...children) {
  const made = SVG.has(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(made.dataset, value);
    else if (name === "style") for (const [key, one] of Object.entries(value)) made.style.setProperty(key, one);
    else made.setAttribute(name === "className" ? "class" : name, value === true ? "" : String(value));
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export const byId = (id) => document.getElementById(id);

/** Put children in the place of what an element has. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
}

/** A number as people read it: three digits that count. */
export function shown(number) {
  if (number === null || number === undefined) return "–";
  const size = Math.abs(number);
  return number.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

/** Milliseconds as people read them. */
export const milliseconds = (value) => value.toFixed(value >= 10 || value === 0 ? 0 : 1);

/** Say something to those who do not see it. */
export function announce(text) {
  byId("said").textContent = text;
}
