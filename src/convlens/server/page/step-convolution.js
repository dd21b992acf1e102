// A convolution at one place: of every input channel the patch times the kernel, channel by channel, and the bias.

import { element } from "./dom.js";
import { formula, indexed, letter, row, sign, sumOver } from "./formula.js";
import { numberGrid, paired } from "./number-grid.js";
import { colourName, positionAt } from "./places.js";
import { biasTerm, decimalsOf, scalesOf, sumOf } from "./running-sum.js";
import { product } from "./step-terms.js";

export function convolution(step, { walk, digits }) {
  const pairs = step.inputs.map((patch, place) => [patch, step.weights[place]]);
  const scales = scalesOf(pairs, decimalsOf(step.channel_sums, step.value, { digits, last: step.bias }));
  const terms = step.channel_sums.map((value, place) => channelTerm(step, place, value, scales, walk));
  const single = step.weights[0].length * step.weights[0][0].length === 1;
  const first = single ? 8 : step.weights[0].length > 5 ? 3 : 4;
  const sum = sumOf(terms, { first, last: biasTerm(step.bias), what: "channels", value: step.value, digits });
  sum.body.classList.add(single ? "products" : "patches");
  return { formula: theFormula(single, step.channel_sums.length, biasTerm(step.bias) !== null), body: sum.body, text: sum.text };
}

function channelTerm(step, place, value, scales, walk) {
  const channel = step.reads.channels[place];
  const [patch, kernel] = [step.inputs[place], step.weights[place]];
  const at = (line, column) => positionAt(step.reads, [0, channel, step.reads.rows[line], step.reads.columns[column]]);
  const label = channelName(step, channel);
  if (patch.length * patch[0].length === 1) {
    const outside = step.padded?.[0]?.[0];
    const lead = outside ? null : walk(at(0, 0));
    return { value, label, step: lead, factors: () => product(patch[0][0], kernel[0][0], scales, lead) };
  }
  const factors = () => {
    const seen = numberGrid(patch, {
      ...scales.x, padded: step.padded, label: `${label}: what the window sees`,
      step: (line, column) => walk(at(line, column))(),
      said: (line, column) => `row ${step.reads.rows[line]}, column ${step.reads.columns[column]}`,
    });
    const weights = numberGrid(kernel, { ...scales.w, label: `${label}: the kernel` });
    paired(seen, weights, patch.flatMap((line, row) => line.map((x, column) => x * kernel[row][column])));
    return element("div", { class: "patch-kernel" }, seen, element("span", { class: "operator", "aria-label": "times" }, "×"), weights);
  };
  return { value, label, factors };
}

/** Of the picture, its colour. */
function channelName({ reads }, channel) {
  return reads.node === -1 ? colourName(channel, reads.channels.length) : `channel ${channel}`;
}

function theFormula(single, channels, biased) {
  const bias = biased ? [sign("+"), letter("b")] : [];
  const [x, w] = [letter("x"), letter("w")];
  if (single) return formula(letter("y"), sign("="), sumOver(letter("c")), indexed(w, letter("c")), indexed(x, letter("c")), ...bias);
  const index = channels > 1 ? row(letter("c"), sign(","), letter("i"), sign(","), letter("j")) : row(letter("i"), sign(","), letter("j"));
  const here = (base) => indexed(base, index.cloneNode(true));
  return formula(letter("y"), sign("="), sumOver(index), here(w), here(x), ...bias);
}
