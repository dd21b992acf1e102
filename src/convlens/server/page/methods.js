// The methods of explanation as a list to choose from; those not defined for the network cannot be chosen, and say why.

import { read } from "./api.js";
import { element } from "./dom.js";

const USUAL = "grad_cam";

/** Fills the <select>; the method chosen before stays where it can. */
export async function fillMethods(list, run) {
  const { methods } = await read("/v1/methods", { run });
  const before = list.value || USUAL;
  list.replaceChildren(...methods.map(({ name, title, defined, why }) => {
    const words = defined ? title : `${title} (not for this network)`;
    return element("option", { value: name, disabled: !defined, title: why }, words);
  }));
  const can = (name) => methods.some((one) => one.name === name && one.defined);
  list.value = can(before) ? before : methods.find((one) => one.defined)?.name ?? "";
}
