// A named slider with its value beside it.

import { element } from "./dom.js";

let number = 0;

/** `said(value)` is what stands beside the name; `act(value)` is called while it moves. */
export function slider(name, { least = 0, most = 1, step = 0.01, value, said = String, act, tip = null }) {
  const id = `slider-${(number += 1)}`;
  const output = element("output", { for: id });
  const input = element("input", { type: "range", id, min: least, max: most, step });
  const show = () => {
    output.textContent = said(input.valueAsNumber);
    input.setAttribute("aria-valuetext", output.textContent);
    input.style.setProperty("--share", `${(100 * (input.valueAsNumber - least)) / (most - least)}%`);
  };
  input.addEventListener("input", () => { show(); act?.(input.valueAsNumber); });
  input.value = value;
  show();
  const label = element("label", { for: id, "data-tip": tip }, name);
  const made = element("div", { class: "field" }, element("div", { class: "named" }, label, output), input);
  return Object.assign(made, { input, set: (to) => { input.value = to; show(); } });
}
