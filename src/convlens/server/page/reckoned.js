// Formulas of two numbers, such as "x · b", computed of the numbers that are shown.

import { valueOf } from "./numbers.js";

const SIGNS = { "+": (a, b) => a + b, "−": (a, b) => a - b, "·": (a, b) => a * b, "/": (a, b) => a / b, "^": (a, b) => a ** b };

/** `texts` are the numbers' texts by their names. Undefined for any other formula. */
export function reckoned(formula, texts) {
  const found = /^(\S+) (\S) (?:α · )?(\S+)$/u.exec(formula);
  if (!found || !SIGNS[found[2]]) return undefined;
  const [one, other] = [found[1], found[3]].map((word) => valueOf(texts[word] ?? word));
  const factor = formula.includes("α · ") ? valueOf(texts.α) : 1;
  const result = SIGNS[found[2]](one, factor * other);
  return Number.isNaN(result) ? undefined : result;
}
