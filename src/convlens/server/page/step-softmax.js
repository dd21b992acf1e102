// Softmax with the run's temperature: logits, their exponentials, the share of one among all.

import { button, element } from "./dom.js";
import { bracketed, formula, fraction, indexed, letter, number, power, row, sign, sumOver, words } from "./formula.js";
import { agreeing, decimalsFor, fixed, sharedDecimals, significant, total, valueOf } from "./numbers.js";
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
  const { scale, decimals } = digitsOf(step, own);
  const body = element("div", { class: "softmax" });
  const draw = (shown) => {
    const seen = [own, ...others.slice(0, shown)];
    const texts = seen.map((term) => exponentialOf(term.exponential, decimals, term === own));
    const rows = seen.map((term, at) => termRow(term, texts[at], { step, scale, walk }));
    const rest = restOf(others.slice(shown), decimals);
    const sum = sumText(step.sum, [...texts, rest.text], decimals);
    const share = valueOf(texts[0]) / valueOf(sum);
    const result = agreeing(step.computed, isLog(step) ? Math.log(share) : share, step.value);
    const shares = table(rows, rest, sum, step.temperature !== 1);
    const unfold = rest.count ? [more(rest.count, () => further(shown))] : [];
    body.replaceChildren(shares, ...unfold, shareOf(step, texts[0], sum, result.text));
    return result;
  };
  const further = (shown) => {
    draw(shown + 24);
    body.querySelectorAll("tbody tr")[shown + 1]?.querySelector("button")?.focus();
  };
  const result = draw(others.length <= FEW ? others.length : FIRST);
  return { formula: theFormula(step, scale), body, ...result };
}

const isLog = (step) => Boolean(step.formula?.startsWith("log"));

/** The classes that have no row, as one line. */
const restOf = (others, decimals) => ({
  count: others.length, text: others.length ? exponentialOf(total(others.map((term) => term.exponential)), decimals) : "0",
});

/** With as many decimals as the lines above add up to. */
function sumText(sum, texts, decimals) {
  return fixed(sum, sharedDecimals(sum, total(texts.map(valueOf)), decimals));
}

/** As many decimals as exponentials have when they are computed of the logits that are shown. */
function digitsOf(step, own) {
  const wanted = Math.min(10, Math.max(6, decimalsFor([own.exponential])));
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

function table(rows, rest, sum, tempered) {
  const last = rest.count > 0 && element("tr", { class: "rest" },
    element("th", { scope: "row", colspan: columns(tempered) }, `the other ${rest.count} classes together`),
    element("td", { class: "number exponential" }, rest.text));
  const sumRow = element("tr", { class: "all" }, element("th", { scope: "row", colspan: columns(tempered) }, "the sum"),
    element("td", { class: "number total" }, sum));
  const head = (text, at) => element("th", { scope: "col", class: at ? "number" : null }, text);
  const heads = ["class", "logit z", tempered && "z / T", "exponential"].filter(Boolean).map(head);
  return element("div", { class: "scroll" }, element("table", {},
    element("thead", {}, element("tr", {}, heads)), element("tbody", {}, rows, last, sumRow)));
}

function termRow(term, exponential, { step, scale, walk }) {
  const lead = walk(cellsOf({ inputs: step.logits, reads: step.reads })[term.index].place);
  const text = fixed(term.logit, scale);
  const said = { class: "cell logit", "data-tip": "step in", "aria-label": `logit of ${term.name} ${text}: step in` };
  const cell = button(text, lead, said);
  const bar = element("span", { class: "share" });
  bar.style.setProperty("--part", `${(100 * term.exponential) / step.sum}%`);
  tint(cell, term.logit / Math.max(...step.logits.map(Math.abs)));
  return element("tr", { class: term.index === step.chosen ? "own" : null },
    element("th", { scope: "row" }, term.name), element("td", { class: "number" }, cell),
    step.temperature !== 1 && element("td", { class: "number scaled" }, fixed(valueOf(text) / valueOf(temperatureOf(step)), scale)),
    element("td", { class: "number exponential" }, bar, exponential));
}

/** The one that is divided with all its digits; no other as nothing but zeros, however small it is. */
function exponentialOf(exponential, decimals, own = false) {
  if (own && exponential < TINY) return significant(exponential);
  const text = fixed(exponential, decimals);
  return exponential > 0 && Number(text) === 0 ? significant(exponential, 3) : text;
}

function shareOf(step, exponential, sum, text) {
  const share = fraction(number(exponential, "exponential"), number(sum, "sum"));
  return formula(...logOf(step, share), sign("="), number(text, "value"));
}

/** A log softmax is the logarithm of the share. */
const logOf = (step, share) => (isLog(step) ? [words("log"), bracketed(share)] : [share]);

function theFormula(step, decimals) {
  const exponential = (index) => {
    const z = indexed(letter("z"), letter(index));
    const shifted = step.greatest ? [sign("("), z, sign("−"), letter("m"), sign(")")] : [z];
    return power(letter("e"), row(...shifted, sign("/"), letter("T")));
  };
  const share = fraction(exponential("i"), row(sumOver(letter("j")), exponential("j")));
  const made = [letter(isLog(step) ? "y" : "p"), sign("="), ...logOf(step, share)];
  const where = [sign(","), letter("T"), sign("="), number(temperatureOf(step), "temperature")];
  if (step.greatest) where.push(sign(","), letter("m"), sign("="), number(fixed(step.greatest, decimals), "greatest"));
  return formula(...made, ...where);
}
