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

class UnitArithmetic extends HTMLElement {
  /** `unit` is an answer of /v1/unit; `classes` are the run's. Tells "step-in" with the position of an input. */
  show(unit, { classes = [] } = {}) {
    let before;
    const given = unit.node === -1 ? [pixelStep(unit)] : unit.steps;
    const steps = given.map((step) => {
      const told = { walk: (place) => () => this.#stepIn(place), classes, before, asked: unit.position };
      const written = writer(step)(step, told);
      before = written.text;
      return section(step, written);
    });
    this.replaceChildren(element("ol", { class: "steps" }, steps), agreement(unit, before));
  }

  #stepIn(place) {
    this.dispatchEvent(new CustomEvent("step-in", { bubbles: true, detail: place }));
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
    element("header", {}, element("h4", {}, step.title ?? step.op), formula),
    body);
}

/** The network computes in 32 bits; the page in 64. Both are said, so that nobody has to trust the page. */
function agreement(unit, text) {
  return element("p", { class: "agreement quiet" },
    "The network's own number, computed in 32 bits: ", element("output", { class: "own" }, significant(unit.value, 7)),
    text === undefined ? "" : ".");
}

customElements.define("unit-arithmetic", UnitArithmetic);
