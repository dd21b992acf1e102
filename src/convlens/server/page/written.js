// A formula of the server, such as "x · clamp(x + 3, 0, 6) / 6", as MathML: with letters, or with numbers in their place.

import { bracketed, letter, number, root, row, sign, words } from "./formula.js";

const TOKENS = /\s+|\d+(?:\.\d+)?|[A-Za-zα-ωΑ-Ω_]+|./gu;
const FUNCTIONS = new Set(["max", "min", "clamp", "exp", "log", "tanh", "erf", "sin", "cos", "round", "sign"]);

/** `texts` are the numbers' texts by their names; without them letters stand. */
export function written(text, texts = {}, letters = {}) {
  const tokens = text.match(TOKENS).filter((token) => token.trim());
  const [parts] = sequence(tokens, 0, { texts, letters, names: new Set([...Object.keys(texts), ...Object.keys(letters), "x", "a", "b", "c"]) });
  return row(...parts);
}

/** Reads up to a closing bracket; gives the parts and where the next token is. */
function sequence(tokens, at, known) {
  const parts = [];
  while (at < tokens.length && tokens[at] !== ")") {
    const [part, next] = one(tokens, at, known, parts.length > 0);
    parts.push(part);
    at = next;
  }
  return [parts, at];
}

function one(tokens, at, known, after) {
  const token = tokens[at];
  if (token === "(") {
    const [inside, end] = sequence(tokens, at + 1, known);
    return [bracketed(...inside), end + 1];
  }
  if (token === "√") {
    const bracket = tokens[at + 1] === "(";
    const [inside, end] = bracket ? sequence(tokens, at + 2, known) : [[one(tokens, at + 1, known, false)[0]], at + 1];
    return [root(row(...inside)), end + 1];
  }
  return [symbol(token, known, after), at + 1];
}

function symbol(token, { texts, letters, names }, after) {
  if (token in texts) return after && texts[token].startsWith("−") ? bracketed(number(texts[token], token)) : number(texts[token], token);
  if (/^\d/.test(token)) return number(token);
  if (names.has(token)) return letter(letters[token] ?? token);
  if (FUNCTIONS.has(token)) return words(token);
  if (/^[A-Za-z_]{2,}$/.test(token)) return words(`\u00a0${token}\u00a0`);
  return /^[\p{L}]$/u.test(token) ? letter(token) : sign(token);
}
