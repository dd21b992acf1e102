// How the run's own pictures were drawn, measured on its samples, so that a drawing can be made like them.

import { showPicture } from "./api.js";

const FINE = 8; // canvas pixels for each pixel of the picture, averaged: as a scanner does
const INKED = 0.25; // of full ink: what belongs to a stroke
const PENS = [0.04, 0.055, 0.07, 0.085, 0.1, 0.12, 0.14, 0.17, 0.2]; // of the frame
const CURVE = [[[0.7, 0.2], [0.35, 0.2], [0.3, 0.5], [0.65, 0.5], [0.65, 0.8], [0.3, 0.8]]];

/** As MNIST is: 20 of 28 pixels, about the centre of mass. For a run that kept no samples. */
const usual = ({ width, height }) => ({ width, height, side: 20 / 28, byMass: true, pen: 0.085 });

/** -> { width, height, side, byMass, pen, light }: size, share of the frame, how centred, width of the pen. */
export async function inkOf(run) {
  const light = run.ink !== "dark";
  const greys = await Promise.all(run.samples.map((sample) => grey(sample.url, light)));
  const measured = greys.filter(Boolean).map(measure).filter((one) => one.side);
  if (!measured.length) return { ...usual(run.input), light };
  const [{ width, height }] = greys;
  const byMass = spread(measured, "mass") < spread(measured, "box");
  const ink = { width, height, light, side: median(measured.map((one) => one.side)), byMass, pen: 0.1 };
  return { ...ink, pen: penOf(ink, median(measured.map((one) => one.thickness))) };
}

/** Strokes of points in 0..1 -> a canvas of the run's own size, fitted and centred as its pictures are. */
export function made(strokes, ink) {
  const fitted = fit(strokes, ink);
  const values = averaged(paint(fitted, ink), ink);
  const canvas = new OffscreenCanvas(ink.width, ink.height);
  const context = canvas.getContext("2d");
  const image = context.createImageData(ink.width, ink.height);
  values.forEach((value, place) => {
    const level = Math.round(255 * (ink.light ? value : 1 - value));
    image.data.set([level, level, level, 255], 4 * place);
  });
  context.putImageData(image, 0, 0);
  return canvas;
}

/** Moved and scaled, its shape kept: the longer side fills its share, the centre lies in the middle. */
function fit(strokes, ink) {
  const { left, right, top, bottom } = bounds(strokes.flat());
  const room = Math.max(ink.side - ink.pen, 0.05);
  const scale = room / Math.max(right - left, bottom - top, 0.2);
  const along = (value, first, last) => 0.5 + (value - (first + last) / 2) * scale;
  const boxed = strokes.map((stroke) => stroke.map(([x, y]) => [along(x, left, right), along(y, top, bottom)]));
  if (!ink.byMass) return boxed;
  const mass = measure({ width: ink.width, height: ink.height, values: averaged(paint(boxed, ink), ink) });
  return inside(boxed, 0.5 - mass.massX, 0.5 - mass.massY, ink.pen / 2);
}

/** Moved, yet never over the edge. */
function inside(strokes, byX, byY, rim) {
  const { left, right, top, bottom } = bounds(strokes.flat());
  const within = (by, first, last) => Math.min(Math.max(by, rim - first), 1 - rim - last);
  const [x, y] = [within(byX, left, right), within(byY, top, bottom)];
  return strokes.map((stroke) => stroke.map((point) => [point[0] + x, point[1] + y]));
}

function paint(strokes, { width, height, pen }) {
  const context = new OffscreenCanvas(width * FINE, height * FINE).getContext("2d", { willReadFrequently: true });
  context.scale(width * FINE, height * FINE);
  context.strokeStyle = "#fff";
  trace(context, strokes, pen);
  return context.getImageData(0, 0, width * FINE, height * FINE).data;
}

/** Smooth lines through the middles between the points. */
export function trace(context, strokes, pen) {
  Object.assign(context, { lineWidth: pen, lineCap: "round", lineJoin: "round" });
  for (const points of strokes) {
    context.beginPath();
    context.moveTo(...points[0]);
    points.slice(1).forEach(([x, y], before) => {
      const [fromX, fromY] = points[before];
      context.quadraticCurveTo(fromX, fromY, (fromX + x) / 2, (fromY + y) / 2);
    });
    context.lineTo(...points.at(-1));
    context.stroke();
  }
}

/** The alpha of FINE × FINE canvas pixels becomes one value in 0..1. */
function averaged(data, { width, height }) {
  const values = new Float32Array(width * height);
  for (let row = 0; row < height * FINE; row += 1) {
    for (let column = 0; column < width * FINE; column += 1) {
      const place = Math.floor(row / FINE) * width + Math.floor(column / FINE);
      values[place] += data[4 * (row * width * FINE + column) + 3] / (255 * FINE * FINE);
    }
  }
  return values;
}

/** Shares of the frame: longer side, centres of the box and of mass; thickness from area over outline, in pixels. */
function measure({ width, height, values }) {
  const inked = [...values.keys()].filter((place) => values[place] > INKED);
  const points = inked.map((place) => [place % width, Math.floor(place / width)]);
  if (!points.length) return { side: 0 };
  const { left, right, top, bottom } = bounds(points);
  const mass = values.reduce((sum, value) => sum + value, 0);
  const mean = (of) => values.reduce((sum, value, place) => sum + value * (of(place) + 0.5), 0) / mass;
  return {
    side: Math.max((right - left + 1) / width, (bottom - top + 1) / height),
    boxX: (left + right + 1) / 2 / width, boxY: (top + bottom + 1) / 2 / height,
    massX: mean((place) => place % width) / width, massY: mean((place) => Math.floor(place / width)) / height,
    thickness: (2 * mass) / outline(values, width),
  };
}

/** The sum of the steps between neighbours: the length of the outline of what is black and white. */
function outline(values, width) {
  let sum = 0;
  for (let place = 0; place + width < values.length; place += 1) {
    const right = (place + 1) % width ? values[place + 1] - values[place] : 0;
    sum += Math.hypot(right, values[place + width] - values[place]);
  }
  return sum || 1;
}

/** The pen whose strokes are as thick as those of the samples. */
function penOf(ink, thickness) {
  const away = (pen) => {
    const own = { ...ink, pen, byMass: false };
    return Math.abs(measure({ ...ink, values: averaged(paint(fit(CURVE, own), own), own) }).thickness - thickness);
  };
  return PENS.reduce((best, pen) => (away(pen) < away(best) ? pen : best));
}

async function grey(url, light) {
  const image = new Image();
  try {
    await showPicture(image, url);
  } catch {
    return null;
  }
  const { naturalWidth: width, naturalHeight: height } = image;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const values = Float32Array.from({ length: width * height }, (_, place) => data[4 * place + 1] / 255);
  return { width, height, values: light ? values : values.map((value) => 1 - value) };
}

function bounds(points) {
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  return { left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys) };
}

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

/** How far the centres scatter: small where the pictures were centred by this one. */
function spread(all, name) {
  const along = (axis) => {
    const mean = all.reduce((sum, one) => sum + one[name + axis], 0) / all.length;
    return all.reduce((sum, one) => sum + (one[name + axis] - mean) ** 2, 0);
  };
  return along("X") + along("Y");
}
