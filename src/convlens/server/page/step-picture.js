// The last step down: from what the network takes to the pixel of the picture.

import { element } from "./dom.js";
import { formula, fraction, letter, number, row, sign, signed } from "./formula.js";
import { agreeing, significant, valueOf } from "./numbers.js";

/** (pixel / 255 − mean) / std. */
export function picturePixel(step) {
  const { pixel, mean, std } = step.numbers;
  const fields = { pixel: significant(pixel), mean: significant(mean), std: significant(std) };
  const again = (valueOf(fields.pixel) / 255 - valueOf(fields.mean)) / valueOf(fields.std);
  const { text: shown } = agreeing(step.value, again);
  const written = (top, m, s) => fraction(row(fraction(top, number("255")), sign("−"), m), s);
  const swatch = element("span", { class: "swatch", role: "img", "aria-label": `the pixel, ${fields.pixel} of 255` });
  swatch.style.background = step.colour ?? `rgb(${pixel} ${pixel} ${pixel})`;
  const body = element("div", { class: "worked pixel" }, swatch,
    formula(written(number(fields.pixel, "pixel"), signed(fields.mean, "mean"), number(fields.std, "std")), sign("="), number(shown, "value")));
  return { formula: formula(letter("x"), sign("="), written(letter("pixel"), letter("mean"), letter("std"))), body, text: shown };
}
