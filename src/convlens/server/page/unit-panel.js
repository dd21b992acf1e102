// <unit-panel>: one unit: where it stands, what it sees of the picture, and the sum that it is; and the way down.

import { ask, isAbort } from "./api.js";
import { button, element } from "./dom.js";
import "./feature-map.js";
import { numbersOf } from "./map-pictures.js";
import { layerOf } from "./network-facts.js";
import { problem, tell } from "./notices.js";
import { significant } from "./numbers.js";
import { colourName } from "./places.js";
import "./receptive-field.js";
import { segments } from "./segments.js";
import { slide } from "./sliding-window.js";
import "./unit-arithmetic.js";
import "./unit-trail.js";

const ENGINES = [["torch", "torch"], ["numpy", "NumPy"]];
const PATIENCE = 150; // ms before "on its way" is said

class UnitPanel extends HTMLElement {
  #desk = null; // { picture, run, network }
  #trail = []; // positions, from the unit chosen down to the one shown
  #maps = new Map(); // "node channel" -> numbers
  #stop = new AbortController();
  #sliding = null;
  #crumbs = element("unit-trail");
  #title = element("h2", {});
  #value = element("output", { class: "unit-value" });
  #said = element("p", { class: "unseen", role: "status" });
  #sight = element("receptive-field");
  #source = element("feature-map", { class: "source-map", hidden: true });
  #map = element("feature-map", { class: "own-map" });
  #slide = button("Slide the window", () => this.#toggleSlide(), { symbol: "inside", class: "slide" });
  #engine = ENGINES[0][0]; // whose numbers are shown
  #engines = segments("Who computes", ENGINES, (engine) => this.#compute(engine));
  #sum = element("unit-arithmetic");

  connectedCallback() {
    if (this.firstChild) return;
    this.append(
      element("header", {},
        element("div", { class: "unit-bar" }, this.#crumbs, this.#engines, this.#slide, keys()),
        element("div", { class: "unit-title" }, this.#title, this.#value), this.#said),
      element("div", { class: "unit-body" },
        element("div", { class: "unit-where" }, part("On the picture", this.#sight), part("What it reads", this.#source), part("Its own map", this.#map)),
        this.#sum));
    this.addEventListener("step-in", (event) => this.#go([...this.#trail, event.detail]));
    this.addEventListener("go-back", (event) => this.#go(this.#trail.slice(0, event.detail.to + 1)));
    this.#map.addEventListener("choose-unit", (event) => this.#move(event.detail));
    this.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Another picture or run: maps are asked for again, the way stays where the network is the same. */
  begin(picture, run, network) {
    if (this.#desk?.network !== network) this.#trail = [];
    this.#desk = { picture, run, network };
    this.stop();
    this.#maps = new Map();
    this.#engines.hidden = network.engines.length < 2;
    if (!network.engines.includes(this.#engine)) this.#engines.set(this.#engine = network.engines[0]);
    this.#sight.picture(picture, run).catch(tell);
    if (this.#trail.length) this.#show();
  }

  /** What is on its way is not wanted any more: something else is about to be opened. */
  stop() {
    this.#stop.abort();
    this.#stop = new AbortController();
    this.classList.remove("waiting");
  }

  /** Begins a new way at this unit { node | layer, channel, row, column }. */
  open(position) {
    return this.#go([position]);
  }

  /** The strongest unit of a channel. */
  async openChannel(layer, channel) {
    this.stop();
    const { signal } = this.#stop;
    const map = await this.#mapOf(layer.node, channel, signal).catch((error) => void (isAbort(error) || tell(error)));
    if (signal.aborted) return undefined;
    const [row, column] = map ? strongest(map) : [];
    return this.#go([{ node: layer.node, layer: layer.path, channel, row, column }]);
  }

  async #go(trail) {
    if (!trail.length) return;
    const steps = this.#trail.length && trail[0] === this.#trail[0];
    this.#trail = trail;
    await this.#show();
    if (steps && this.getBoundingClientRect().top < 0) this.scrollIntoView({ block: "start" });
  }

  /** The same unit by the other engine. */
  #compute(engine) {
    this.#engine = engine;
    if (this.#trail.length) this.#show();
  }

  #move({ row, column }) {
    const here = this.#trail.at(-1);
    this.#trail = [...this.#trail.slice(0, -1), { ...here, row, column, index: undefined }];
    this.#show();
  }

  #key(event) {
    if (event.key !== "Backspace" || event.altKey || event.ctrlKey || event.metaKey || event.target.closest("input, select, textarea")) return;
    event.preventDefault();
    if (this.#trail.length > 1) this.#go(this.#trail.slice(0, -1));
  }

  async #show() {
    this.#sliding?.();
    this.#stop.abort();
    const { signal } = (this.#stop = new AbortController());
    const held = this.contains(document.activeElement) && ![this.#map, this.#engines].some((one) => one.contains(document.activeElement));
    const slow = setTimeout(() => this.classList.add("waiting"), PATIENCE);
    try {
      const position = this.#trail.at(-1);
      const { picture, run } = this.#desk;
      const unit = await ask("/v1/unit", { picture: { id: picture.id }, run: run.name, engine: this.#engine, ...asked(position) }, { signal });
      Object.assign(position, { ...unit.position, layer: unit.layer, node: unit.node });
      this.#write(unit);
      if (held) this.#focusFirst();
      await Promise.all([this.#showOwnMap(unit, signal), this.#showSource(unit, signal)]);
      if (!signal.aborted) [this.#slide.hidden, this.#slide.disabled] = [!this.#slides(unit), false];
    } catch (error) {
      if (!signal.aborted && !isAbort(error)) this.#without(error);
    } finally {
      clearTimeout(slow);
      if (!signal.aborted) this.classList.remove("waiting");
    }
  }

  /** Nothing of the unit that stood here before stays beside the words. */
  #without(error) {
    const { layer, ...place } = this.#trail.at(-1);
    this.#title.textContent = [layer, placeOf(place)].filter(Boolean).join(", ");
    this.#value.textContent = this.#said.textContent = "";
    this.#sight.parentElement.hidden = this.#source.parentElement.hidden = this.#map.parentElement.hidden = this.#slide.hidden = true;
    this.#sum.replaceChildren(problem(error, () => this.#show()));
    this.dispatchEvent(new Event("no-unit", { bubbles: true }));
  }

  #write(unit) {
    const name = nameOf(unit, this.#desk.network);
    this.#crumbs.show(this.#trail.map((position) => ({ name: position.layer ?? "", place: placeOf(position) })));
    this.#title.textContent = name;
    this.#value.textContent = significant(unit.value, 5);
    this.#said.textContent = `${name}: ${significant(unit.value, 4)}`;
    this.#sight.parentElement.hidden = false;
    this.#sight.light(unit.receptive_field);
    this.#sum.show(unit, { classes: this.#desk.run.classes, colours: this.#desk.network.input.channels });
    this.#slide.disabled = true;
    this.dispatchEvent(new CustomEvent("unit", { bubbles: true, detail: { unit } }));
    this.unit = { ...unit, stride: layerOf(this.#desk.network, unit)?.stride };
  }

  async #showOwnMap(unit, signal) {
    const { channel, row, column } = unit.position;
    const map = unit.node === -1 ? null : await this.#mapOf(unit.node, channel, signal).catch(() => null);
    if (signal.aborted) return;
    this.#map.parentElement.hidden = !map || map.line || map.height * map.width === 1;
    if (!this.#map.parentElement.hidden) this.#map.show({ ...map, name: `Channel ${channel} of ${unit.layer}` }, [row, column]);
  }

  /** The map that weighs most in the first step, with the window on it. */
  async #showSource(unit, signal) {
    const step = unit.steps.find((one) => one.reads?.rows);
    const channel = step && strongestChannel(step);
    const map = step && step.reads.node !== -1 ? await this.#mapOf(step.reads.node, channel, signal).catch(() => null) : null;
    if (signal.aborted) return;
    this.#source.parentElement.hidden = !map || map.height * map.width === 1;
    if (this.#source.parentElement.hidden) return;
    const { rows, columns } = step.reads;
    this.#source.hidden = false;
    this.#source.show({ ...map, name: `Channel ${channel} of ${step.reads.layer}` }, [rows[0], columns[0]]);
    this.#source.say(`channel ${channel}${step.reads.channels.length > 1 ? ", which weighs most" : ""}`);
    this.#source.light({ top: rows[0], bottom: rows.at(-1), left: columns[0], right: columns.at(-1) });
  }

  async #mapOf(node, channel, signal) {
    if (!Number.isInteger(node)) return null;
    const [maps, key] = [this.#maps, `${node} ${channel}`];
    if (maps.has(key)) return maps.get(key);
    const { picture, run } = this.#desk;
    const wanted = { layers: [node], count: 1, first: channel, order: "number", values: true };
    const answer = await ask("/v1/features", { picture: { id: picture.id }, run: run.name, ...wanted }, { signal });
    const feature = answer.features[0];
    const map = feature && mapIn(feature, channel);
    if (!map) return null;
    if (maps.size > 64) maps.clear();
    maps.set(key, map);
    return map;
  }

  #focusFirst() {
    const leading = 'button.cell[tabindex="0"], .product button.cell, button.source, button.cell';
    const first = this.#sum.querySelector(leading) ?? this.#crumbs.querySelector("button:not(:disabled)");
    first?.focus({ preventScroll: true });
  }

  #slides(unit) {
    return !this.#map.parentElement.hidden && unit.steps.some((one) => one.reads?.rows) && unit.receptive_field;
  }

  #toggleSlide() {
    if (this.#sliding) return this.#sliding();
    this.#slide.lastChild.textContent = "Stop";
    this.classList.add("sliding");
    const { height, width } = this.#map.map;
    this.#sliding = slide(this.unit, { own: this.#map, source: this.#source, sight: this.#sight, height, width }, () => {
      this.#sliding = null;
      this.classList.remove("sliding");
      this.#slide.lastChild.textContent = "Slide the window";
    });
    return undefined;
  }
}

const asked = ({ node, layer, channel, row, column, index, output }) => ({
  ...(node === undefined || node === null ? { layer } : { node }), channel, row, column, index, output,
});

/** Its numbers; of a recurrent layer those of one step, one below the other; null of a dense one. */
function mapIn({ vector, shape, tile, values }, channel) {
  if (!vector) return { values: numbersOf(values), height: tile[0], width: tile[1] };
  const [, count] = shape;
  return shape.length === 2 ? { values: vector.slice(channel * count, (channel + 1) * count), height: count, width: 1, line: true } : null;
}

const placeOf = ({ channel, row, column }) => [channel, row, column].filter((at) => at !== undefined && at !== null).join(", ");

function nameOf(unit, network) {
  const { channel, row, column } = unit.position;
  const layer = network.layers.find((one) => one.path === unit.layer);
  const which = unit.node === -1 ? colourName(channel, network.input.channels) : layer?.names?.[channel] ?? `channel ${channel}`;
  return `${unit.layer}, ${which}${row === undefined || row === null ? "" : `, row ${row}, column ${column}`}`;
}

function strongest({ values, width }) {
  const best = values.reduce((most, value, place) => (value > values[most] ? place : most), 0);
  return [Math.floor(best / width), best % width];
}

function strongestChannel({ reads, channel_sums: sums }) {
  if (!sums) return reads.channels[0];
  return reads.channels[sums.reduce((most, value, place) => (Math.abs(value) > Math.abs(sums[most]) ? place : most), 0)];
}

const part = (title, ...children) => element("section", { class: "where" }, element("h3", {}, title), children);

function keys() {
  const row = (key, does) => [element("dt", {}, element("kbd", {}, key)), element("dd", {}, does)];
  return element("details", { class: "keys" }, element("summary", {}, "Keys"),
    element("dl", {}, row("← ↑ → ↓", "move on the map, among cells"), row("Shift + arrow", "five units on"),
      row("Home", "the strongest unit"), row("Enter", "step in"), row("Backspace", "step back")));
}

customElements.define("unit-panel", UnitPanel);
