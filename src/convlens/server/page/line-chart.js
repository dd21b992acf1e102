// <line-chart>: curves over one axis, drawn to the pixel of its width; pointer or arrow keys read the values.

import { drawn, element } from "./dom.js";
import { brief } from "./format.js";
import { hideTip, showTip } from "./hover-tip.js";

const EDGE = { left: 46, right: 14, top: 10, bottom: 28 };

class LineChart extends HTMLElement {
  #data = null;
  #at = -1; // which x is read
  #heading = element("figcaption");
  #place = element("div", { class: "plot", tabindex: 0, role: "img" });
  #told = element("p", { class: "unseen", role: "status" });

  connectedCallback() {
    if (this.firstChild) return;
    this.append(element("figure", {}, this.#heading, this.#place), this.#told);
    new ResizeObserver(() => this.#draw()).observe(this);
    this.#place.addEventListener("pointermove", (event) => this.#point(event));
    this.#place.addEventListener("pointerleave", () => this.#read(-1));
    this.#place.addEventListener("blur", () => this.#read(-1));
    this.#place.addEventListener("keydown", (event) => this.#key(event));
  }

  /**
   * { title, x: { name, said }, y: { said, least, most }, series: [{ name, tone, points: [{ x, y, low, high }] }] };
   * `said` words a value; `least` and `most` of y are in view whatever the points are.
   */
  set data(data) {
    this.#data = data;
    this.#heading.replaceChildren(element("strong", {}, data.title), ...data.series.map(({ name, tone }) =>
      element("span", { class: `key ${tone}` }, name)));
    this.#draw();
  }

  #draw() {
    if (!this.#data || !this.clientWidth) return;
    const frame = this.#frame();
    const picture = drawn("svg", { width: frame.width, height: frame.height, "aria-hidden": "true" });
    picture.append(...axes(frame, this.#data), ...this.#data.series.flatMap((one) => curve(one, frame)));
    this.#place.replaceChildren(picture);
    this.#place.setAttribute("aria-label", summary(this.#data));
    if (this.#at >= 0) this.#mark(frame);
  }

  #frame() {
    const width = this.clientWidth;
    const height = Math.round(Math.min(280, Math.max(170, width * 0.52)));
    const all = this.#data.series.flatMap(({ points }) => points);
    const [firstX, lastX] = range(all.map(({ x }) => x), this.#data.x);
    const [firstY, lastY] = range(all.flatMap(({ y, low, high }) => [y, low ?? y, high ?? y]), this.#data.y);
    const across = width - EDGE.left - EDGE.right;
    const down = height - EDGE.top - EDGE.bottom;
    return {
      width, height, xs: ticks(firstX, lastX, width / 90), ys: ticks(firstY, lastY, 5),
      x: (value) => EDGE.left + (across * (value - firstX)) / (lastX - firstX),
      y: (value) => EDGE.top + down * (1 - (value - firstY) / (lastY - firstY)),
    };
  }

  #xs() {
    return [...new Set(this.#data.series.flatMap(({ points }) => points.map(({ x }) => x)))].sort((a, b) => a - b);
  }

  #point(event) {
    const { left } = this.#place.getBoundingClientRect();
    const { x } = this.#frame();
    const away = this.#xs().map((value) => Math.abs(x(value) + left - event.clientX));
    this.#read(away.indexOf(Math.min(...away)));
  }

  #key(event) {
    const last = this.#xs().length - 1;
    const to = { ArrowLeft: Math.max(0, this.#at - 1), ArrowRight: Math.min(last, this.#at + 1), Home: 0, End: last };
    if (!(event.key in to)) return;
    event.preventDefault();
    this.#read(to[event.key]);
    this.#told.textContent = this.#words();
  }

  #read(at) {
    this.#at = at;
    this.#place.querySelector(".reading")?.remove();
    if (at < 0 || !this.#xs().length) return void hideTip();
    this.#mark(this.#frame());
    const line = this.#place.querySelector(".reading").getBoundingClientRect();
    showTip(this.#words(), { left: line.left, right: line.right, top: line.top, bottom: line.bottom });
  }

  #mark(frame) {
    const x = this.#xs()[this.#at];
    const dots = this.#data.series.flatMap(({ tone, points }) => points.filter((point) => point.x === x).map((point) =>
      drawn("circle", { class: tone, cx: frame.x(x), cy: frame.y(point.y), r: 4 })));
    const line = drawn("line", { x1: frame.x(x), x2: frame.x(x), y1: EDGE.top, y2: frame.height - EDGE.bottom });
    this.#place.firstElementChild.append(drawn("g", { class: "reading" }, line, dots));
  }

  #words() {
    const x = this.#xs()[this.#at];
    const values = this.#data.series.flatMap(({ name, points }) =>
      points.filter((point) => point.x === x).map(({ y }) => `${name} ${say(this.#data.y, y)}`));
    return `${this.#data.x.name} ${say(this.#data.x, x)}: ${values.join(", ")}`;
  }
}

const say = ({ said = brief }, value) => said(value);

function range(values, { least = Infinity, most = -Infinity }) {
  const finite = values.filter(Number.isFinite);
  const [first, last] = [Math.min(least, ...finite), Math.max(most, ...finite)];
  if (!Number.isFinite(first)) return [0, 1];
  return first === last ? [first - 0.5, last + 0.5] : [first, last];
}

/** Round numbers within, about as many as asked. */
function ticks(first, last, wanted) {
  const rough = (last - first) / Math.max(2, wanted);
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = size * [1, 2, 5, 10].find((times) => times * size >= rough);
  const marks = [];
  for (let at = Math.ceil(first / step - 1e-9); at * step <= last + step * 1e-9; at += 1) marks.push(at * step);
  return marks;
}

function axes({ width, height, xs, ys, x, y }, data) {
  const low = height - EDGE.bottom;
  const across = ys.flatMap((value) => [
    drawn("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value) }),
    drawn("text", { x: EDGE.left - 8, y: y(value) + 4, "text-anchor": "end" }, say(data.y, value))]);
  const along = xs.map((value) =>
    drawn("text", { x: x(value), y: low + 17, "text-anchor": "middle" }, say(data.x, value)));
  const base = drawn("line", { class: "base", x1: EDGE.left, x2: width - EDGE.right, y1: low, y2: low });
  return [...across, ...along, base];
}

function curve({ tone, points }, { x, y }) {
  const there = points.filter((point) => Number.isFinite(point.y));
  if (!there.length) return [];
  const way = (of) => there.map((point) => `${x(point.x).toFixed(1)},${y(of(point)).toFixed(1)}`);
  const line = drawn("polyline", { class: `line ${tone}`, points: way((point) => point.y).join(" ") });
  const end = drawn("circle", { class: `end ${tone}`, cx: x(there.at(-1).x), cy: y(there.at(-1).y), r: 3 });
  if (there[0].low === undefined) return [line, end];
  const band = [...way((point) => point.high), ...way((point) => point.low).reverse()].join(" ");
  return [drawn("polygon", { class: `band ${tone}`, points: band }), line, end];
}

function summary({ title, x, y, series }) {
  const last = series.filter(({ points }) => points.length).map(({ name, points }) =>
    `${name} ${say(y, points.at(-1).y)} at ${x.name} ${say(x, points.at(-1).x)}`);
  return `${title}: ${last.join("; ") || "nothing yet"}. Arrow keys read the values.`;
}

customElements.define("line-chart", LineChart);
