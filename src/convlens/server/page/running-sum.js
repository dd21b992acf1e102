// A sum, term by term: where each comes from, what it is made of, and a waterfall of the running sum.

import { button, element } from "./dom.js";
import { decimalsFor, largestOf, runningSum, sharedDecimals, total } from "./numbers.js";

const MORE = 24;

/** The last term of a sum; null where there is no bias. */
export const biasTerm = (bias) => (bias === null || bias === undefined ? null : { value: bias, label: "the bias" });

/**
 * A sum of terms, largest first.
 *
 * A term is { value, label, factors?: () => Element, step?: () => void }. `last` (the bias) ends the sum, and what is
 * not shown stands in one line, its sum said. Gives { body, text }: the element and the sum as it is shown.
 */
export function sumOf(terms, { first = 8, last = null, what = "terms", value, digits }) {
  const ordered = [...terms].sort((one, other) => Math.abs(other.value) - Math.abs(one.value));
  const decimals = decimalsOf(ordered.map((term) => term.value), value, { digits, last: last?.value });
  const body = element("div", { class: "running-sum" });
  const draw = (shown) => body.replaceChildren(...lines(ordered, shown, { last, what, decimals }), ...further(ordered, shown, draw, body));
  draw(ordered.length <= first + 2 ? ordered.length : first);
  return { body, text: body.querySelector(".value")?.textContent ?? "0" };
}

/**
 * Enough digits for the largest term and, where terms cancel, for what is left of them; as long as the sum of the
 * terms and `last` is, with so many, the network's own number, `value`.
 */
export function decimalsOf(terms, value, { digits = 5, last = 0 } = {}) {
  const wanted = Math.min(9, Math.max(decimalsFor(terms, digits), decimalsFor([value], digits - 1)));
  return sharedDecimals(total(terms) + last, value, wanted, decimalsFor(terms, 3));
}

/**
 * The digits of inputs and weights that make each term, as its cells show it, the term that is shown.
 *
 * `pairs` are [inputs, weights] of the terms, `decimals` those of the sum. Gives { x, w } for grids.
 */
export function scalesOf(pairs, decimals) {
  const flat = pairs.map((pair) => pair.map((numbers) => [numbers].flat(Infinity)));
  const largest = [0, 1].map((side) => largestOf(flat.map((pair) => pair[side])));
  for (let digits = 6; ; digits++) {
    const places = largest.map((one) => decimalsFor([one], digits));
    const made = { x: { largest: largest[0], decimals: places[0] }, w: { largest: largest[1], decimals: places[1] } };
    if (digits > 8 || flat.every(([x, w]) => addsUp(x, w, places, 0.5 * 10 ** -decimals))) return made;
  }
}

function addsUp(x, w, [dx, dw], most) {
  const error = x.reduce((sum, value, at) => sum + Number(value.toFixed(dx)) * Number(w[at].toFixed(dw)) - value * w[at], 0);
  return Math.abs(error) <= most;
}

function lines(ordered, shown, { last, what, decimals }) {
  const seen = ordered.slice(0, shown);
  const rest = ordered.slice(shown);
  if (rest.length) seen.push({ value: total(rest.map((term) => term.value)), label: `the other ${rest.length} ${what} together`, rest: true });
  if (last) seen.push(last);
  const sums = runningSum(seen.map((term) => term.value), decimals);
  const ends = [0, ...sums.map((one) => one.to)];
  const [least, most] = [Math.min(...ends), Math.max(...ends)];
  const made = seen.map((term, place) => line(term, sums[place], { least, most }));
  made.at(-1)?.querySelector(".sum").classList.add("value");
  return [element("ol", { class: "sum-lines" }, made)];
}

function line(term, { term: text, sum, from, to }, scale) {
  const source = term.step
    ? button(term.label, term.step, { class: "bare source", "data-tip": "step in" })
    : element("span", { class: "source" }, term.label);
  return element("li", { class: term.rest ? "sum-line rest" : "sum-line" },
    element("div", { class: "from" }, source),
    element("div", { class: "factors" }, term.factors?.()),
    element("output", { class: "term" }, text),
    waterfall(from, to, scale),
    element("output", { class: "sum", "aria-label": `running sum ${sum}` }, sum));
}

/** The step from one running sum to the next, on an axis that all lines share; the hairline is zero. */
function waterfall(from, to, { least, most }) {
  const width = most - least || 1;
  const at = (value) => (100 * (value - least)) / width;
  const bar = element("span", { class: to < from ? "bar cool" : "bar" });
  bar.style.left = `${at(Math.min(from, to))}%`;
  bar.style.width = `${at(Math.max(from, to)) - at(Math.min(from, to))}%`;
  const zero = element("span", { class: "zero" });
  zero.style.left = `${at(0)}%`;
  return element("div", { class: "waterfall", "aria-hidden": "true" }, zero, bar);
}

function further(ordered, shown, draw, body) {
  if (shown >= ordered.length) return [];
  const next = Math.min(MORE, ordered.length - shown);
  return [button(`Show ${next} more`, () => {
    draw(shown + next);
    body.querySelectorAll(".sum-line")[shown]?.querySelector("button")?.focus();
  }, { class: "more" })];
}
