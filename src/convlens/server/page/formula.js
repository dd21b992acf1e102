// Formulas as a teacher writes them, in MathML.

const SPACE = "http://www.w3.org/1998/Math/MathML";

function part(name, ...children) {
  const made = document.createElementNS(SPACE, name);
  made.append(...children);
  return made;
}

export const letter = (text) => part("mi", text);
export const sign = (text) => part("mo", text);
export const words = (text) => part("mtext", text);
export const row = (...parts) => part("mrow", ...parts);
export const fraction = (above, below) => part("mfrac", above, below);
export const root = (inside) => part("msqrt", inside);
export const indexed = (base, index) => part("msub", base, index);
export const power = (base, exponent) => part("msup", base, exponent);
export const sumOver = (index) => part("munder", sign("∑"), index);
export const bracketed = (...parts) => row(sign("("), ...parts, sign(")"));

/** A number that stands for something: `named` is what tests and the pointer read. */
export function number(text, named) {
  const made = part("mn", text);
  if (named) {
    made.dataset.name = named;
    made.dataset.tip = named;
  }
  return made;
}

/** The same after a sign: a negative one in brackets. */
export const signed = (text, named) => (text.startsWith("−") ? bracketed(number(text, named)) : number(text, named));

/** A line of its own. */
export function formula(...parts) {
  const made = part("math", row(...parts));
  made.setAttribute("display", "block");
  return made;
}
