// <unit-arithmetic>: one unit's value as the steps that make it, each written out. Cells lead to what they come from.

import { element } from "./dom.js";
import { significant } from "./numbers.js";
import { convolution } from "./step-convolution.js";
import { picturePixel } from "./step-picture.js";
import { gate, normalisation } from "./step-pointwise.js";
import { chosen, mean, summed } from "./step-pooling.js";
import { softmax } from "./step-softmax.js";
import { dense, meeting, moved, unknown } from "./step-terms.js";

const WRITERS = {
  convolution, "transposed convolution": convolution, dense, softmax, normalisation, moved,
  picture: picturePixel, "max pooling": chosen, largest: chosen, smallest: chosen, "average pooling": mean, mean,
};

const ENOUGH = 4; // digits of a result
const MOST = 8; // digits of a sum

class UnitArithmetic extends HTMLElement {
  /** `unit` is an answer of /v1/unit; `classes` are the run's, `colours` how many channels its pictures have. Tells "step-in" with the position of an input. */
  show(unit, { classes = [], colours = 3 } = {}) {
    const given = unit.node === -1 ? [pixelStep(unit)] : unit.steps;
    const told = { walk: (place) => () => this.#stepIn(place), classes, colours };
    this.replaceChildren(element("ol", { class: "steps" }, writtenSurely(given, told)), agreement(unit));
  }

  #stepIn(place) {
    this.dispatchEvent(new CustomEvent("step-in", { bubbles: true, detail: place }));
  }
}

/** With more digits in the sums where a step after them would else be left with too few. */
function writtenSurely(steps, told) {
  for (let digits = 5; ; digits++) {
    let before;
    let sure = true;
    const sections = steps.map((step) => {
      const written = writer(step)(step, { ...told, digits, before });
      before = written.text;
      sure &&= (written.digits ?? ENOUGH) >= ENOUGH;
      return section(step, written);
    });
    if (sure || digits === MOST) return sections;
  }
}

function writer(step) {
  if (step.known === false) return unknown;
  if (step.operands) return meeting;
  return WRITERS[step.op] ?? (step.inputs ? summed : gate);
}

const pixelStep = ({ position, value }) => ({ op: "picture", title: "the picture, as preprocessing makes it", numbers: position, value });

function section(step, { formula, body }) {
  return element("li", { class: "step", "data-op": step.op },
    element("header", {}, element("h4", {}, step.title ?? step.op), formula && element("div", { class: "formula" }, formula)),
    body);
}

/** The network computes in 32 bits; the page in 64. Both are said, so that nobody has to trust the page. */
function agreement(unit) {
  const own = element("output", { class: "own" }, significant(unit.value, 7));
  if (!unit.torch) return element("p", { class: "agreement quiet" }, "The network's own number, computed in 32 bits: ", own, ".");
  return element("p", { class: "agreement quiet" }, "NumPy's own number, computed in 32 bits: ", own, ...beside(unit.torch));
}

/** What torch has for the same unit. */
function beside({ value, difference }) {
  if (difference === 0) return ["; torch has the same."];
  return ["; torch's: ", element("output", { class: "torch" }, significant(value, 7)), "; the difference: ", element("output", { class: "difference" }, significant(difference, 3)), "."];
}

customElements.define("unit-arithmetic", UnitArithmetic);
