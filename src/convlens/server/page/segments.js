// A choice of a few, side by side: radio buttons by name, arrow keys among them.

import { button, element, rove } from "./dom.js";

/** `choices` are [value, words, icon]; `act(value)` at each change. `set(value)` chooses without telling. */
export function segments(label, choices, act) {
  const made = element("div", { class: "segments", role: "radiogroup", "aria-label": label });
  const set = (value) => {
    for (const one of made.children) {
      one.setAttribute("aria-checked", String(one.dataset.value === value));
      one.tabIndex = one.dataset.value === value ? 0 : -1;
    }
  };
  const choose = (value) => { set(value); act(value); };
  made.append(...choices.map(([value, words, symbol]) =>
    button(words, () => choose(value), { symbol, role: "radio", "data-value": value })));
  rove(made, "button", { chosen: (one) => choose(one.dataset.value) });
  set(choices[0][0]);
  return Object.assign(made, { set });
}
