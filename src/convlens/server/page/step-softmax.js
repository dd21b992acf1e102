// Softmax with the run's temperature: logits, their exponentials, the share of one among all.

import { button, element } from "./dom.js";
import { formula, fraction, indexed, letter, number, power, row, sign, sumOver } from "./formula.js";
import { agreeing, decimalsFor, fixed, significant, total, valueOf } from "./numbers.js";
import { cellsOf } from "./places.js";
import { tint } from "./tones.js";

const FIRST = 6;
const FEW = 11; // so many others are all shown
const TINY = 1e-4; // below it numbers are written with a power of ten

export function softmax(step, { walk, classes }) {
  const name = (index) => classes?.[index] ?? `class ${index}`;
  const terms = step.logits.map((logit, index) => ({ index, logit, exponential: step.exponentials[index], name: name(index) }));
  const own = terms[step.chosen];
  const others = terms.filter((term) => term !== own).sort((one, other) => other.exponential - one.exponential);
  const { sum } = step;
  const { scale, decimals } = digitsOf(step, own);
  const result = agreeing(step.computed, valueOf(significant(own.exponential)) / valueOf(fixed(sum, decimals)));
  const body = element("div", { class: "softmax" });
  const draw = (shown) => {
    const seen = [own, ...others.slice(0, shown)];
    const rows = seen.map((term) => termRow(term, term === own, { step, scale, decimals, walk, sum }));
    const rest = others.slice(shown);
    const shares = table(rows, rest, seen, { sum, decimals, tempered: step.temperature !== 1 });
    const unfold = rest.length ? [more(rest.length, () => further(shown))] : [];
    body.replaceChildren(shares, ...unfold, shareOf(own, sum, result.text, decimals));
  };
  const further = (shown) => {
    draw(shown + 24);
    body.querySelectorAll("tbody tr")[shown + 1]?.querySelector("button")?.focus();
  };
  draw(others.length <= FEW ? others.length : FIRST);
  return { formula: theFormula(step, scale), body, ...result };
}

/** As many decimals as exponentials have when they are computed of the logits that are shown. */
function digitsOf(step, own) {
  const wanted = Math.min(10, Math.max(6, decimalsFor([own.exponential], 5)));
  const temperature = valueOf(temperatureOf(step));
  for (let digits = 7; ; digits++) {
    const scale = decimalsFor(step.logits, digits);
    const shown = (logit) => Number(logit.toFixed(scale));
    const errors = step.logits.map((logit, at) => Math.abs(Math.exp((shown(logit) - shown(step.greatest)) / temperature) - step.exponentials[at]));
    const decimals = Math.min(wanted, Math.floor(-Math.log10(2 * Math.max(...errors, 1e-16))));
    const sure = own.exponential >= TINY || errors[step.chosen] <= 1e-7 * own.exponential; // of its six digits
    if ((decimals >= wanted && sure) || digits === 10) return { scale, decimals: Math.max(3, decimals) };
  }
}

const temperatureOf = (step) => significant(step.temperature, 9);

const more = (rest, act) => button(`Show ${Math.min(24, rest)} more`, act, { class: "more" });

const columns = (tempered) => (tempered ? 3 : 2);

function table(rows, rest, seen, { sum, decimals, tempered }) {
  const left = sum - total(seen.map((term) => Number(term.exponential.toFixed(decimals))));
  const last = rest.length > 0 && element("tr", { class: "rest" },
    element("th", { scope: "row", colspan: columns(tempered) }, `the other ${rest.length} classes together`),
    element("td", { class: "number exponential" }, fixed(left, decimals)));
  const sumRow = element("tr", { class: "all" }, element("th", { scope: "row", colspan: columns(tempered) }, "the sum"),
    element("td", { class: "number total" }, fixed(sum, decimals)));
  const head = (text, at) => element("th", { scope: "col", class: at ? "number" : null }, text);
  const heads = ["class", "logit z", tempered && "z / T", "exponential"].filter(Boolean).map(head);
  return element("div", { class: "scroll" }, element("table", {},
    element("thead", {}, element("tr", {}, heads)), element("tbody", {}, rows, last, sumRow)));
}

function termRow(term, own, { step, scale, decimals, walk, sum }) {
  const lead = walk(cellsOf({ inputs: step.logits, reads: step.reads })[term.index].place);
  const text = fixed(term.logit, scale);
  const said = { class: "cell logit", "data-tip": "step in", "aria-label": `logit of ${term.name} ${text}: step in` };
  const cell = button(text, lead, said);
  const bar = element("span", { class: "share" });
  bar.style.setProperty("--part", `${(100 * term.exponential) / sum}%`);
  tint(cell, term.logit / Math.max(...step.logits.map(Math.abs)));
  return element("tr", { class: own ? "own" : null },
    element("th", { scope: "row" }, term.name), element("td", { class: "number" }, cell),
    step.temperature !== 1 && element("td", { class: "number scaled" }, fixed(term.logit / step.temperature, scale)),
    element("td", { class: "number exponential" }, bar, exponentialOf(term, own, decimals)));
}

/** The one that is divided as it stands in the fraction; no other as nothing but zeros, however small it is. */
function exponentialOf({ exponential }, own, decimals) {
  if (own && exponential < TINY) return significant(exponential);
  const text = fixed(exponential, decimals);
  return exponential > 0 && Number(text) === 0 ? significant(exponential, 3) : text;
}

function shareOf(own, sum, text, decimals) {
  return formula(
    fraction(number(significant(own.exponential), "exponential"), number(fixed(sum, decimals), "sum")),
    sign("="), number(text, "value"));
}

function theFormula(step, decimals) {
  const exponential = (index) => {
    const z = indexed(letter("z"), letter(index));
    const shifted = step.greatest ? [sign("("), z, sign("−"), letter("m"), sign(")")] : [z];
    return power(letter("e"), row(...shifted, sign("/"), letter("T")));
  };
  const made = [letter("p"), sign("="), fraction(exponential("i"), row(sumOver(letter("j")), exponential("j")))];
  const where = [sign(","), letter("T"), sign("="), number(temperatureOf(step), "temperature")];
  if (step.greatest) where.push(sign(","), letter("m"), sign("="), number(fixed(step.greatest, decimals), "greatest"));
  return formula(...made, ...where);
}
