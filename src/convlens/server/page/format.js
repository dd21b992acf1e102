// Numbers as people read them.

/** 0.9834 -> "98.3 %"; what is nearly none or all says so. */
export function percent(share, digits = 1) {
  const least = 10 ** -digits;
  if (share > 0 && share * 100 < least) return `< ${least} %`;
  if (share < 1 && share * 100 > 100 - least) return `> ${100 - least} %`;
  return `${(share * 100).toFixed(digits)} %`;
}

/** 1234567 -> "1,234,567". */
export const count = (number) => Math.round(number).toLocaleString("en-GB");

/** 1234567 -> "1.23 M". */
export function short(number) {
  const unit = [[1e9, "G"], [1e6, "M"], [1e3, "k"]].find(([size]) => Math.abs(number) >= size);
  return unit ? `${(number / unit[0]).toPrecision(3)} ${unit[1]}` : String(number);
}

/** Four significant digits, with a true minus sign. */
export function exact(number, digits = 4) {
  if (number === 0) return "0";
  const size = Math.abs(number);
  const said = size >= 1e5 || size < 1e-4 ? number.toExponential(digits - 1) : number.toPrecision(digits);
  return said.replace("-", "−");
}

/** At most so many significant digits, no noughts at the end: 0.5, 20, 1.25. */
export const brief = (number, digits = 3) => String(Number(number.toPrecision(digits))).replace("-", "−");

/** 83 -> "1 min 23 s". */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 3600) return `${Math.round(whole / 60)} min`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** "it is saved" -> "It is saved". */
export const capital = (words) => words.charAt(0).toUpperCase() + words.slice(1);

/** plural(1, "picture") -> "1 picture". */
export const plural = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;
