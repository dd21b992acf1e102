// Steps of one number into one: normalisation, activations, scales. Each is written out with its numbers.

import { curve } from "./activation-curve.js";
import { element } from "./dom.js";
import { bracketed, formula, fraction, letter, number, power, root, row, sign, signed, words } from "./formula.js";
import { agreeing, significant, valueOf } from "./numbers.js";
import { reckoned } from "./reckoned.js";
import { written } from "./written.js";

const LETTERS = { mean: "μ", epsilon: "ε", weight: "γ", bias: "β" };

/** (x − μ) / √(σ² + ε) · γ + β, first with its numbers, then worked out. */
export function normalisation(step, { before }) {
  if (!("mean" in step.numbers)) return gate(step, { before });
  const { mean, variance, epsilon, weight, bias, x } = step.numbers;
  const text = textsOf(step.numbers, before);
  const ends = () => [sign("·"), signed(text.weight, "weight"), sign("+"), signed(text.bias, "bias")];
  const given = fraction(
    row(number(text.x, "x"), sign("−"), signed(text.mean, "mean")),
    root(row(number(text.variance, "variance"), sign("+"), number(text.epsilon, "epsilon"))),
  );
  const ofShown = numbersOf(text);
  const worked = [ofShown.x - ofShown.mean, Math.sqrt(ofShown.variance + ofShown.epsilon)];
  const [difference, deviation] = [agreeing(x - mean, worked[0]), agreeing(Math.sqrt(variance + epsilon), worked[1])];
  const lines = [worked[0] / worked[1], valueOf(difference.text) / valueOf(deviation.text)]; // each line gives the result
  const result = agreeing(step.computed, lines.map((scaled) => scaled * ofShown.weight + ofShown.bias), step.value);
  const scaled = fraction(number(difference.text, "difference"), number(deviation.text, "deviation"));
  const general = fraction(row(letter("x"), sign("−"), letter("μ")), root(row(power(letter("σ"), number("2")), sign("+"), letter("ε"))));
  return {
    formula: formula(letter("y"), sign("="), general, sign("·"), letter("γ"), sign("+"), letter("β")),
    body: element("div", { class: "worked" },
      formula(sign("="), given, ...ends()), formula(sign("="), scaled, ...ends()), formula(sign("="), number(result.text, "value"))),
    ...result,
  };
}

/** f(x) of one number: the formula with the numbers in it, and where it stands on the curve. */
export function gate(step, { before }) {
  const text = textsOf(step.numbers, before);
  const rule = RULES[step.op];
  const result = step.computed === step.numbers.x ? { text: text.x } : agreeing(step.computed, again(step, text), step.value);
  const inside = rule?.written ? rule.written(() => number(text.x, "x"), () => signed(text.x, "x"), text) : [written(step.formula, text)];
  const general = rule?.written ? rule.written(() => letter("x"), () => letter("x"), text) : [written(step.formula, {}, lettersOf(step.numbers))];
  return {
    formula: formula(letter("y"), sign("="), ...general),
    body: element("div", { class: "worked with-curve" },
      element("div", {}, formula(sign("="), ...inside, sign("="), number(result.text, "value"))),
      rule && curve(rule.curve(step.numbers, step.formula), step.numbers.x, step.computed)),
    ...result,
  };
}

/** The result of the numbers that are shown; for what nobody knows here how to compute, its own. */
function again({ op, formula: rule, computed }, text) {
  const numbers = numbersOf(text);
  return RULES[op] ? RULES[op].curve(numbers, rule)(numbers.x) : reckoned(rule, text) ?? computed;
}

const numbersOf = (texts) => Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, valueOf(text)]));

/** What the step before ended with stays written as it was there. */
function textsOf(numbers, before) {
  const texts = Object.fromEntries(Object.entries(numbers).map(([key, value]) => [key, significant(value)]));
  return before === undefined ? texts : { ...texts, x: before };
}

const lettersOf = (numbers) => Object.fromEntries(Object.keys(numbers).map((key) => [key, LETTERS[key] ?? key]));

/** A series of positive terms. */
function erf(x) {
  if (Math.abs(x) > 6) return Math.sign(x);
  let sum = 0;
  for (let term = x, n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); term *= (2 * x * x) / (2 * n + 1), n += 1) sum += term;
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

const gelu = (x) => (x / 2) * (1 + erf(x / Math.SQRT2));
const geluByTanh = (x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
const leaky = ({ slope }) => (x) => (x > 0 ? x : slope * x);
const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const between = (x, low, high) => Math.min(high, Math.max(low, x));
const call = (name, ...parts) => [words(name), bracketed(...parts)];
const six = (x) => row(...call("min", number("6"), sign(","), ...call("max", number("0"), sign(","), x, sign("+"), number("3"))));
const decay = (after) => row(number("1"), sign("+"), power(letter("e"), row(sign("−"), after())));

/** How an activation is written of x (or `after` a sign, in brackets where negative), and its curve. */
const RULES = {
  relu: { written: (x) => call("max", number("0"), sign(","), x()), curve: () => (x) => Math.max(0, x) },
  hardtanh: {
    written: (x, after, text) => call("min", number(text.most, "most"), sign(","), ...call("max", number(text.least, "least"), sign(","), x())),
    curve: ({ least, most }) => (x) => between(x, least, most),
  },
  hardsigmoid: { written: (x) => [fraction(six(x()), number("6"))], curve: () => (x) => between(x + 3, 0, 6) / 6 },
  hardswish: { written: (x, after) => [x(), sign("·"), fraction(six(after()), number("6"))], curve: () => (x) => (x * between(x + 3, 0, 6)) / 6 },
  sigmoid: { written: (x, after) => [fraction(number("1"), decay(after))], curve: () => sigmoid },
  silu: { written: (x, after) => [fraction(x(), decay(after))], curve: () => (x) => x * sigmoid(x) },
  tanh: { written: (x) => call("tanh", x()), curve: () => Math.tanh },
  clamp: { curve: ({ least = -Infinity, most = Infinity }) => (x) => between(x, least, most) },
  leaky_relu: { curve: leaky },
  _prelu_kernel: { curve: leaky },
  gelu: { curve: (_, formula) => (formula.includes("tanh") ? geluByTanh : gelu) },
  softplus: { curve: ({ β, threshold }) => (x) => (β * x > threshold ? x : Math.log1p(Math.exp(β * x)) / β) },
  elu: { curve: ({ scale, rate, α }) => (x) => scale * (x > 0 ? x : α * Math.expm1(rate * x)) },
};
