// Numbers as text, rounded so that what is shown adds up as it is shown.

const MINUS = "−";
const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** A number with so many decimals; no minus before nothing but zeros. */
export function fixed(value, decimals) {
  const text = Math.abs(value).toFixed(decimals);
  return value < 0 && Number(text) !== 0 ? MINUS + text : text;
}

/** How many decimals give the largest of these numbers so many significant digits. */
export function decimalsFor(values, digits = 6) {
  const largest = largestOf(values);
  if (!(largest > 0) || !Number.isFinite(largest)) return 1;
  return Math.min(12, Math.max(0, digits - 1 - Math.floor(Math.log10(largest))));
}

/** The largest magnitude among nested lists of numbers. */
export const largestOf = (values) => values.flat(Infinity).reduce((most, value) => Math.max(most, Math.abs(value)), 0);

export const total = (values) => values.flat(Infinity).reduce((sum, value) => sum + value, 0);

/** Six significant digits, 0.123457 or 1.23457 × 10⁻⁸; fewer where they say it all: 6, 0.5. */
export function significant(value, digits = 6) {
  const text = rounded(value, digits);
  return text.includes(".") && valueOf(text) === value ? text.replace(/\.?0+($| ×)/, "$1") : text;
}

function rounded(value, digits) {
  if (value === 0) return "0";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : value < 0 ? `${MINUS}∞` : "not a number";
  const size = Math.abs(value);
  if (size >= 1e-4 && size < 1e7) return fixed(value, decimalsFor([value], digits));
  const [mantissa, power] = size.toExponential(digits - 1).split("e");
  return `${value < 0 ? MINUS : ""}${mantissa} × 10${raised(Number(power))}`;
}

/** The number that a text says. */
export function valueOf(text) {
  const [mantissa, power = ""] = text.replace(MINUS, "-").split(" × 10");
  const exponent = [...power].map((letter) => (letter === "⁻" ? "-" : RAISED.indexOf(letter))).join("");
  return Number(exponent ? `${mantissa}e${exponent}` : mantissa);
}

/**
 * A result with as many digits, at most six, as it has when it is computed of what is shown: { text, digits }.
 *
 * `shown` is the result of the rounded numbers on the page, a list where several lines give it, `exact` that of the
 * numbers themselves. `own` is the network's: digits that it has otherwise are no part of the text.
 */
export function agreeing(exact, shown, own = exact) {
  const digits = sharedDigits(exact, [shown].flat(), 6);
  return { text: significant(exact, Math.max(2, sharedDigits(exact, [shown, own].flat(), digits))), digits };
}

/** The most digits, at most so many, with which the others are rounded as `exact` is; 1 where there are none. */
function sharedDigits(exact, others, most) {
  for (let digits = most; digits > 1; digits--) {
    const said = valueOf(rounded(exact, digits));
    if (others.every((other) => said === valueOf(fixedLike(exact, other, digits)))) return digits;
  }
  return 1;
}

/** The most decimals, from `most` down to `least`, with which both are written alike; `most` where there are none. */
export function sharedDecimals(one, other, most, least = 0) {
  for (let decimals = most; decimals >= least; decimals--) if (fixed(one, decimals) === fixed(other, decimals)) return decimals;
  return most;
}

/** `shown` with the decimals that so many digits of `exact` have. */
function fixedLike(exact, shown, digits) {
  if (exact === 0 || !Number.isFinite(exact)) return rounded(exact === shown || Math.abs(shown) < 1e-12 ? exact : shown, digits);
  const size = Math.abs(exact);
  if (size >= 1e-4 && size < 1e7) return fixed(shown, decimalsFor([exact], digits));
  const unit = 10 ** (Math.floor(Math.log10(size)) - digits + 1);
  return rounded(Math.round(shown / unit) * unit, digits);
}

function raised(power) {
  const digits = [...String(Math.abs(power))].map((digit) => RAISED[Number(digit)]).join("");
  return power < 0 ? `⁻${digits}` : digits;
}

/**
 * The texts of terms and of their running sum from `start` on, with so many decimals.
 *
 * Each sum is rounded by itself, and a term is shown as the difference of the sums around it: every line adds up
 * exactly as shown, and a term is at most one unit of its last digit away from its own rounding.
 */
export function runningSum(terms, decimals, start = 0) {
  const unit = 10 ** decimals;
  let exact = start;
  let before = Math.round(start * unit);
  return terms.map((term) => {
    exact += term;
    const after = Math.round(exact * unit);
    const [from, to] = [before / unit, after / unit];
    const line = { term: fixed((after - before) / unit, decimals), sum: fixed(to, decimals), from, to };
    before = after;
    return line;
  });
}

/** [16, 112, 112] -> "16 × 112 × 112". */
export const sized = (shape) => shape.join(" × ");
