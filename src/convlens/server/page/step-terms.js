// What adds, multiplies or weighs single numbers: dense layers, sums of branches, gates, and whatever has no rule.

import { button, element } from "./dom.js";
import { formula, indexed, letter, number, row, sign, sumOver } from "./formula.js";
import { agreeing, decimalsFor, fixed, largestOf, significant } from "./numbers.js";
import { cellsOf, placeOf, spoken } from "./places.js";
import { reckoned } from "./reckoned.js";
import { biasTerm, decimalsOf, scalesOf, sumOf } from "./running-sum.js";
import { tint } from "./tones.js";
import { written } from "./written.js";

/** One number in a coloured cell; a button where it leads on. */
export function single(value, { largest, decimals }, lead, said = "") {
  const text = fixed(value, decimals);
  const cell = lead
    ? element("button", { type: "button", class: "cell", onclick: lead, "data-tip": "step in", "aria-label": `${said} ${text}: step in` }, text)
    : element("span", { class: "cell" }, text);
  tint(cell, value / (largest || 1));
  return cell;
}

/** x × w, what is seen and the weight. */
export function product(x, w, scales, lead) {
  return element("div", { class: "product" }, single(x, scales.x, lead, "what is seen:"), times(), single(w, scales.w));
}

const times = () => element("span", { class: "operator", "aria-label": "times" }, "×");

/** The colours and digits that a company of numbers shares. */
export function scaleOf(numbers) {
  const largest = largestOf(numbers);
  return { largest, decimals: decimalsFor([largest]) };
}

export function dense(step, { walk, digits, colours }) {
  const { alpha = 1, beta = 1 } = step;
  const products = step.inputs.map((x, at) => alpha * x * step.weights[at]);
  const bias = step.bias === undefined || beta === 0 ? null : biasTerm(beta * step.bias);
  const decimals = decimalsOf(products, step.value, { digits, last: bias?.value });
  const scales = scalesOf(step.inputs.map((x, at) => [x, step.weights[at]]), decimals);
  const terms = cellsOf(step).map(({ value: x, place }, at) => {
    const lead = place.node === null ? null : walk(place);
    return { value: products[at], label: spoken(place, colours), step: lead, factors: () => product(x, step.weights[at], scales, lead) };
  });
  const sum = sumOf(terms, { first: 8, last: bias, what: "inputs", value: step.value, digits });
  sum.body.classList.add("products");
  const factor = alpha === 1 ? [] : [number(significant(alpha)), sign("·")];
  const weighted = [sumOver(letter("c")), indexed(letter("w"), letter("c")), indexed(letter("x"), letter("c"))];
  return {
    formula: formula(letter("y"), sign("="), ...factor, ...weighted, ...(bias ? [sign("+"), letter("b")] : [])),
    body: sum.body, text: sum.text,
  };
}

/** Branches that meet number by number: each leads on. */
export function meeting(step, { walk, digits }) {
  if (step.formula === "a + b" || step.formula === "a − b") return added(step, walk, digits);
  const texts = Object.fromEntries(Object.entries(step.numbers ?? {}).map(([name, value]) => [name, significant(value)]));
  const result = agreeing(step.computed, reckoned(step.formula, texts) ?? step.computed, step.value);
  const body = element("div", { class: "worked" },
    element("div", { class: "factor-row" }, step.operands.map((one) => operandCell(one, walk))),
    formula(sign("="), written(step.formula, texts), sign("="), number(result.text, "value")));
  return { formula: formula(letter("y"), sign("="), written(step.formula)), body, ...result };
}

function added(step, walk, digits) {
  const minus = step.formula === "a − b";
  const terms = step.operands.map((one) => ({
    value: minus && one.name === "b" ? -one.value : one.value, label: operandName(one), step: one.reads ? walk(placeOf(one.reads)) : null,
  }));
  const sum = sumOf(terms, { first: terms.length, what: "branches", value: step.value, digits });
  sum.body.classList.add("branches");
  return { formula: formula(letter("y"), sign("="), written(step.formula)), body: sum.body, text: sum.text };
}

const operandName = ({ name, reads }) => (reads?.layer ? reads.layer : name);

function operandCell(one, walk) {
  const lead = one.reads && one.reads.node !== null && one.value !== null ? walk(placeOf(one.reads)) : null;
  const cell = one.value === null || one.value === undefined
    ? element("span", { class: "cell" }, "many numbers")
    : lead
      ? element("button", { type: "button", class: "cell", "data-tip": "step in", onclick: lead }, significant(one.value))
      : element("span", { class: "cell" }, significant(one.value));
  if (one.value) tint(cell, Math.sign(one.value) * 0.5);
  return element("figure", { class: "operand" }, cell, element("figcaption", {}, one.name, " ", element("span", {}, one.reads?.layer ?? "")));
}

/** The number only stands elsewhere: another shape, a part of several maps joined. */
export function moved(step, { walk, before, colours }) {
  const text = before ?? significant(step.value);
  const leads = { class: "bare source", "data-tip": "step in" };
  const from = step.reads && button(`${step.reads.layer}, ${spoken(step.reads, colours)}`, walk(placeOf(step.reads)), leads);
  return { body: element("p", { class: "moved" }, from ? ["from ", from] : "a constant", element("output", { class: "value" }, text)), text };
}

/** An operation without a rule of its own: what it reads can still be walked through. */
export function unknown(step, { walk }) {
  const text = significant(step.value);
  return {
    body: element("div", { class: "factor-row" }, (step.operands ?? []).map((one) => operandCell(one, walk)),
      element("span", { class: "operator", "aria-label": "gives" }, "→"), element("output", { class: "value" }, text)),
    text,
  };
}
