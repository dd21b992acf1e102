// The methods of explanation as a list to choose from; those not defined for the network cannot be chosen, and say why.

import { read } from "./api.js";
import { element } from "./dom.js";
import { onlyLast } from "./newest.js";

const USUAL = "grad_cam";

/** A <select>; `act()` at each choice. `fill(run)` lists the methods of a run; the one chosen stays if it can. */
export function methodChoice(act) {
  const list = element("select", { "aria-label": "Method", onchange: () => act() });
  const last = onlyLast();
  const fill = async (run) => {
    const answer = await last(read("/v1/methods", { run }));
    if (answer) show(list, answer.methods);
  };
  return Object.assign(list, { fill });
}

function show(list, methods) {
  const before = list.value || USUAL;
  list.replaceChildren(...methods.map(({ name, title, defined, why }) => {
    const words = defined ? title : `${title} (not for this network)`;
    return element("option", { value: name, disabled: !defined, title: why }, words);
  }));
  const can = (name) => methods.some((one) => one.name === name && one.defined);
  list.value = can(before) ? before : methods.find((one) => one.defined)?.name ?? "";
}
