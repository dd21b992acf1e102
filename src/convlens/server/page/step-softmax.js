// Softmax with the run's temperature: logits, their exponentials, the share of one among all.

import { button, element } from "./dom.js";
import { formula, fraction, indexed, letter, number, power, row, sign, sumOver } from "./formula.js";
import { decimalsFor, fixed, significant, total } from "./numbers.js";
import { cellsOf } from "./places.js";
import { tint } from "./tones.js";

const FIRST = 6;

export function softmax(step, { walk, classes }) {
  const terms = step.logits.map((logit, index) => ({ index, logit, exponential: step.exponentials[index], name: classes?.[index] ?? `class ${index}` }));
  const own = terms[step.chosen];
  const others = terms.filter((term) => term !== own).sort((one, other) => other.exponential - one.exponential);
  const { sum } = step;
  const decimals = Math.min(10, Math.max(decimalsFor([sum], 6), decimalsFor([own.exponential], 5)));
  const scale = decimalsFor(step.logits);
  const body = element("div", { class: "softmax" });
  const draw = (shown) => {
    const seen = [own, ...others.slice(0, shown)];
    const rows = seen.map((term) => termRow(term, term === own, { step, scale, decimals, walk, sum }));
    const rest = others.slice(shown);
    body.replaceChildren(table(rows, rest, seen, { sum, decimals, tempered: step.temperature !== 1 }), ...(rest.length ? [more(rest.length, () => draw(shown + 24))] : []), result(own, sum, step, decimals));
  };
  draw(others.length <= FIRST + 2 ? others.length : FIRST);
  return { formula: theFormula(step), body, text: significant(step.computed) };
}

const more = (rest, act) => button(`Show ${Math.min(24, rest)} more`, act, { class: "more" });

const columns = (tempered) => (tempered ? 3 : 2);

function table(rows, rest, seen, { sum, decimals, tempered }) {
  const left = sum - total(seen.map((term) => Number(term.exponential.toFixed(decimals))));
  const last = rest.length > 0 && element("tr", { class: "rest" },
    element("th", { scope: "row", colspan: columns(tempered) }, `the other ${rest.length} classes together`),
    element("td", { class: "number exponential" }, fixed(left, decimals)));
  const sumRow = element("tr", { class: "all" }, element("th", { scope: "row", colspan: columns(tempered) }, "the sum"),
    element("td", { class: "number total" }, fixed(sum, decimals)));
  const heads = ["class", "logit z", tempered && "z / T", "exponential"].filter(Boolean).map((text, at) => element("th", { scope: "col", class: at ? "number" : null }, text));
  return element("div", { class: "scroll" }, element("table", {},
    element("thead", {}, element("tr", {}, heads)), element("tbody", {}, rows, last, sumRow)));
}

function termRow(term, own, { step, scale, decimals, walk, sum }) {
  const lead = walk(cellsOf({ inputs: step.logits, reads: step.reads })[term.index].place);
  const text = fixed(term.logit, scale);
  const cell = lead ? button(text, lead, { class: "cell logit", "data-tip": "step in", "aria-label": `logit of ${term.name} ${text}: step in` }) : element("span", { class: "cell logit" }, text);
  const bar = element("span", { class: "share" });
  bar.style.setProperty("--part", `${(100 * term.exponential) / sum}%`);
  tint(cell, term.logit / Math.max(...step.logits.map(Math.abs)));
  return element("tr", { class: own ? "own" : null },
    element("th", { scope: "row" }, term.name), element("td", { class: "number" }, cell),
    step.temperature !== 1 && element("td", { class: "number scaled" }, fixed(term.logit / step.temperature, scale)),
    element("td", { class: "number exponential" }, bar, fixed(term.exponential, decimals)));
}

function result(own, sum, step, decimals) {
  return formula(
    fraction(number(significant(own.exponential), "exponential"), number(fixed(sum, decimals), "sum")),
    sign("="), number(significant(step.computed), "value"));
}

function theFormula(step) {
  const exponential = (index) => {
    const shifted = step.greatest ? [sign("("), indexed(letter("z"), letter(index)), sign("−"), letter("m"), sign(")")] : [indexed(letter("z"), letter(index))];
    return power(letter("e"), row(...shifted, sign("/"), letter("T")));
  };
  const made = [letter("p"), sign("="), fraction(exponential("i"), row(sumOver(letter("j")), exponential("j")))];
  const where = [sign(","), letter("T"), sign("="), number(significant(step.temperature), "temperature")];
  if (step.greatest) where.push(sign(","), letter("m"), sign("="), number(significant(step.greatest), "shift"));
  return formula(...made, ...where);
}
