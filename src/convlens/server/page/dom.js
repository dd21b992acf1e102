// Elements made of names, properties and children: text stays text, nothing is ever parsed as markup.

const SVG = "http://www.w3.org/2000/svg";

/** element("button", { type: "button", onclick: act }, "Draw"): functions listen, `false` and null leave out. */
export function element(name, properties = {}, ...children) {
  return filled(document.createElement(name), properties, children);
}

/** The same for what is drawn: drawn("circle", { cx: 4, cy: 4, r: 2 }). */
export function drawn(name, properties = {}, ...children) {
  return filled(document.createElementNS(SVG, name), properties, children);
}

/** One of the icons of index.html; decoration beside words. */
export function icon(name) {
  return drawn("svg", { class: "icon", "aria-hidden": "true" }, drawn("use", { href: `#icon-${name}` }));
}

/** A button with an icon and words. */
export function button(words, act, { symbol = "", ...properties } = {}) {
  return element("button", { type: "button", onclick: act, ...properties }, symbol && icon(symbol), words);
}

function filled(made, properties, children) {
  for (const [name, value] of Object.entries(properties)) set(made, name, value);
  made.append(...children.flat().filter((child) => child || child === 0));
  return made;
}

function set(made, name, value) {
  if (typeof value === "function") made.addEventListener(name.replace(/^on/, ""), value);
  else if (value === true) made.setAttribute(name, "");
  else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
}

/** Arrow keys, Home and End move among the things in `place` that match: one of them is in the tab order. */
export function rove(place, selector, { columns = () => 1, chosen = () => {} } = {}) {
  place.addEventListener("keydown", (event) => {
    const all = [...place.querySelectorAll(selector)];
    const now = all.indexOf(event.target.closest(selector));
    const row = columns();
    const last = all.length - 1;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: row, ArrowUp: -row, Home: -now, End: last - now };
    if (now < 0 || !(event.key in steps)) return;
    const next = all[now + steps[event.key]];
    event.preventDefault();
    if (!next) return;
    for (const one of all) one.tabIndex = one === next ? 0 : -1;
    next.focus();
    chosen(next);
  });
}
