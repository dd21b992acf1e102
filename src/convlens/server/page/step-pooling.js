// Of many numbers one: the largest of a window, and which it is; the mean, the sum.

import { element } from "./dom.js";
import { formula, fraction, indexed, letter, number, row, sign, sumOver, words } from "./formula.js";
import { numberGrid } from "./number-grid.js";
import { agreeing, decimalsFor, fixed, largestOf, total, valueOf } from "./numbers.js";
import { cellsOf, positionAt, spoken } from "./places.js";
import { sumOf } from "./running-sum.js";
import { scaleOf, single } from "./step-terms.js";

const MOST_CELLS = 200; // beyond, a sum shows its largest terms
const RANKED = 8;

/** The chosen one stays where it is: shown with its digits. */
export function chosen(step, told) {
  const decimals = decimalsFor([largestOf([step.inputs])]);
  const text = fixed(step.computed, decimals);
  const index = () => (depth(step.inputs) === 2 ? row(letter("i"), sign(","), letter("j")) : letter("i"));
  const which = step.op === "smallest" ? "min" : "max";
  const window = gridded(step) ? windowOf(step, told.walk, decimals) : ranked(step, told);
  return {
    formula: formula(letter("y"), sign("="), indexed(words(which), index()), indexed(letter("x"), index())),
    body: element("div", { class: "pooled" }, window, arrow(), element("output", { class: "value" }, text)),
    text,
  };
}

export function mean(step, told) {
  const values = [step.inputs].flat(Infinity);
  const count = step.divisor ?? values.length;
  const decimals = decimalsFor([largestOf(values)]);
  const grid = gridded(step) ? windowOf(step, told.walk, decimals) : null;
  const sum = grid ? agreeing(total(values), total(values.map((value) => Number(value.toFixed(decimals))))) : sumOfCells(step, told);
  const result = agreeing(step.computed, valueOf(sum.text) / count, step.value);
  const divided = formula(sign("="), fraction(number(sum.text, "sum"), number(String(count), "count")), sign("="), number(result.text, "value"));
  return {
    formula: formula(letter("y"), sign("="), fraction(number("1"), letter("n")), sumOver(letter("i")), indexed(letter("x"), letter("i"))),
    body: element("div", { class: "pooled mean" }, grid ?? sum.body, element("div", { class: "worked" }, divided)),
    ...result,
  };
}

export function summed(step, told) {
  const sum = sumOfCells(step, told, step.value);
  return { formula: formula(letter("y"), sign("="), sumOver(letter("i")), indexed(letter("x"), letter("i"))), body: sum.body, text: sum.text };
}

const arrow = () => element("span", { class: "operator", "aria-label": "gives" }, "→");
const depth = (list) => (Array.isArray(list) ? 1 + depth(list[0]) : 0);
const gridded = ({ inputs, reads }) => depth(inputs) === 2 && reads.rows && inputs.length * inputs[0].length <= MOST_CELLS;

function windowOf(step, walk, decimals) {
  const { reads, inputs } = step;
  const at = (line, column) => positionAt(reads, [0, reads.channels[0], reads.rows[line], reads.columns[column]]);
  const window = numberGrid(inputs, {
    decimals, largest: largestOf([inputs]), padded: step.padded, ignored: step.op === "max pooling", chosen: step.chosen,
    label: "what the window sees",
    step: reads.node === null ? null : (line, column) => walk(at(line, column))(),
    said: (line, column) => `row ${reads.rows[line]}, column ${reads.columns[column]}`,
  });
  const taken = window.querySelector("button.chosen");
  for (const cell of taken ? window.querySelectorAll("button") : []) cell.tabIndex = cell === taken ? 0 : -1;
  return window;
}

/** Of too many for a grid those that come nearest. */
function ranked(step, { walk, colours }) {
  const scale = scaleOf([step.inputs]);
  const least = step.op === "smallest";
  const outside = [step.padded ?? []].flat(Infinity);
  const all = cellsOf(step).filter((_, at) => !outside[at]).sort((one, other) => (least ? one.value - other.value : other.value - one.value));
  const rest = all.length - RANKED;
  const lines = all.slice(0, RANKED).map(({ value, place }) => {
    const [label, lead] = [spoken(place, colours), place.node === null ? null : walk(place)];
    return element("li", {}, element("span", { class: "source" }, label), single(value, scale, lead, label));
  });
  const said = `the other ${rest} are no ${least ? "smaller" : "larger"}`;
  return element("ol", { class: "ranked" }, lines, rest > 0 && element("li", { class: "rest" }, said));
}

function sumOfCells(step, { walk, colours }, value = total([step.inputs])) {
  const scale = scaleOf([step.inputs]);
  const terms = cellsOf(step).map(({ value: one, place }) => {
    const lead = place.node === null ? null : walk(place);
    const label = spoken(place, colours);
    return { value: one, label, step: lead, factors: () => single(one, scale, lead, label) };
  });
  return sumOf(terms, { first: 8, what: "numbers", value, digits: 6 });
}
