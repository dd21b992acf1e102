// One language of colour for every number inside a network: warm is positive, cool negative, strength is magnitude.
// The colours are variables of inside.css: CSS mixes them in cells that carry text, this file on canvases.

const STEPS = 255;
const drawings = new Map(); // element -> draws it again
let table = null;

/** Draws now, and again whenever light turns dark, for as long as the element is kept. */
export function inTones(element, draw) {
  drawings.set(element, draw);
  draw();
}

function changed() {
  table = null;
  for (const [element, draw] of drawings) {
    if (element.isConnected) draw();
    else drawings.delete(element);
  }
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
new MutationObserver(changed).observe(document.documentElement, { attributes: true, attributeFilter: ["data-look"] });

/** Gives a cell its colour: `share` is its number by the largest of its company, -1 to 1. */
export function tint(cell, share) {
  const strength = Math.min(1, Math.abs(share) || 0);
  cell.classList.add("toned");
  cell.classList.toggle("cool", share < 0);
  cell.style.setProperty("--share", `${(100 * strength).toFixed(1)}%`);
}

/** Numbers of -1 to 1 (height × width, row by row) as a picture of as many pixels on a canvas. */
export function paint(canvas, shares, height, width) {
  const colours = tones();
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const drawn = context.createImageData(width, height);
  for (let place = 0; place < height * width; place++) {
    const step = STEPS + Math.round(STEPS * Math.max(-1, Math.min(1, shares[place])));
    drawn.data.set(colours.subarray(4 * step, 4 * step + 4), 4 * place);
  }
  context.putImageData(drawn, 0, 0);
}

function tones() {
  if (table) return table;
  const [cool, zero, warm] = ["--map-negative", "--zero", "--map-positive"].map(resolved).map(oklab);
  table = new Uint8ClampedArray(4 * (2 * STEPS + 1));
  for (let step = -STEPS; step <= STEPS; step++) {
    const end = step < 0 ? cool : warm;
    const share = Math.abs(step) / STEPS;
    table.set([...rgb(zero.map((part, axis) => part + share * (end[axis] - part))), 255], 4 * (step + STEPS));
  }
  return table;
}

/** A variable of the style sheet -> [red, green, blue], 0 to 1. */
function resolved(variable) {
  const probe = document.createElement("span");
  probe.style.color = `var(${variable})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour.match(/[\d.]+/g).slice(0, 3).map((part) => Number(part) / 255);
}

/** sRGB -> OKLab (Ottosson 2020). */
function oklab(colour) {
  const [r, g, b] = colour.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

function rgb([lightness, a, b]) {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map((part) => 255 * (part <= 0.0031308 ? 12.92 * part : 1.055 * part ** (1 / 2.4) - 0.055));
}
