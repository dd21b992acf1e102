// <network-strip>: the network as a row of stages, from the picture to the probabilities, each with maps of this picture.

import { ask, picturePath, showPicture } from "./api.js";
import { drawn, element, rove } from "./dom.js";
import { percent, short } from "./format.js";
import { channelsOf } from "./map-pictures.js";
import { sized } from "./numbers.js";
import { inTones, paint } from "./tones.js";

const MAPS = 4;

class NetworkStrip extends HTMLElement {
  #row = element("div", { class: "stages", role: "group", "aria-label": "Stages of the network" });
  #network = null;

  connectedCallback() {
    if (this.firstChild) return;
    this.append(element("div", { class: "scroll" }, this.#row));
    rove(this.#row, "button");
  }

  /** Tells "choose-stage" with { stage } of the network. */
  build(network) {
    this.#network = network;
    const mostOf = (what) => Math.max(1, ...network.stages.map((stage) => stage[what] ?? 0));
    const most = { parameters: mostOf("parameters"), macs: mostOf("macs") };
    this.#row.replaceChildren(...network.stages.map((stage) => this.#card(stage, most)));
    this.#row.firstElementChild.tabIndex = 0;
  }

  mark(stage) {
    for (const card of this.#row.children) {
      const own = card.dataset.stage === stage?.path;
      if (own) card.setAttribute("aria-current", "true");
      else card.removeAttribute("aria-current");
      card.tabIndex = own || (!stage && card === this.#row.firstElementChild) ? 0 : -1;
      if (own) show(card, this.firstElementChild);
    }
  }

  /** The maps of this picture, of every stage in one question. */
  async fill(picture, run, signal) {
    const asked = this.#network.stages.filter((stage) => stage.kind === "stage");
    const [first, last] = [this.#row.firstElementChild.querySelector("img"), this.#row.lastElementChild];
    showPicture(first, picturePath(picture.id, "seen", run.name)).catch(() => {});
    if (last.dataset.kind === "probabilities") last.querySelector(".face").replaceChildren(...mostProbable(picture.prediction));
    const layers = asked.map((stage) => stage.last);
    const answer = await ask("/v1/features", { picture: { id: picture.id }, run: run.name, layers, count: MAPS }, { signal });
    await Promise.all(answer.features.map(async (feature, place) => {
      const channels = await channelsOf(feature);
      if (signal.aborted) return;
      const card = [...this.#row.children].find((one) => one.dataset.stage === asked[place].path);
      if (feature.vector) drawVector(card, feature.vector);
      else card.querySelectorAll("canvas").forEach((canvas, number) => drawMap(canvas, channels[number]));
    }));
  }

  /** No map stays of a picture that was shown before. */
  forget() {
    for (const canvas of this.#row.querySelectorAll("canvas")) canvas.hidden = true;
  }

  #card(stage, most) {
    const choose = () => this.dispatchEvent(new CustomEvent("choose-stage", { bubbles: true, detail: { stage } }));
    return element("button", { type: "button", class: "stage-card", tabindex: -1, "data-stage": stage.path, "data-kind": stage.kind, onclick: choose },
      face(stage),
      element("strong", {}, stage.title),
      element("span", { class: "shape" }, sized(stage.shape)),
      stage.kind === "picture" || stage.kind === "probabilities" ? null : facts(stage, most, this.#network.input));
  }
}

function face(stage) {
  if (stage.kind === "picture") return element("span", { class: "face whole" }, element("img", { alt: "" }));
  const maps = stage.spatial;
  if (stage.kind === "probabilities") return element("span", { class: "face classes" });
  const canvases = Array.from({ length: maps ? MAPS : 1 }, () => element("canvas"));
  return element("span", { class: maps ? "face maps" : "face vector", "aria-hidden": "true" }, canvases);
}

/** Parameters, MACs and receptive field; the bars compare stages with each other. */
function facts(stage, most, input) {
  const bar = (share) => {
    const fill = element("span", { class: "fill" });
    fill.style.width = percent(share, 2).replace(/[<> ]/g, "");
    return element("span", { class: "track", "aria-hidden": "true" }, fill);
  };
  const macs = stage.macs === null ? "MACs unknown" : stage.macs ? `${short(stage.macs)} MACs` : "no MACs";
  return element("span", { class: "facts" },
    element("span", {}, stage.parameters ? `${short(stage.parameters)} parameters` : "no parameters"), bar(stage.parameters / most.parameters),
    element("span", {}, macs), bar((stage.macs ?? 0) / most.macs),
    fieldFact(stage.receptive_field, input));
}

/** The receptive field in words, and drawn to scale in a small frame of the picture. */
export function fieldFact(field, input) {
  if (!field) return null;
  const [tall, wide] = field;
  const whole = tall >= input.height && wide >= input.width;
  const [height, width] = [Math.min(1, tall / input.height), Math.min(1, wide / input.width)].map((share) => 22 * share);
  return element("span", { class: "sight" },
    drawn("svg", { viewBox: "0 0 24 24", class: "sight-frame", "aria-hidden": "true" },
      drawn("rect", { class: "frame", x: 0.5, y: 0.5, width: 23, height: 23, rx: 2 }),
      drawn("rect", { class: "seen", x: 12 - width / 2, y: 12 - height / 2, width: Math.max(1.5, width), height: Math.max(1.5, height), rx: 1 })),
    element("span", {}, whole ? "sees all of it" : `sees ${tall} × ${wide} px`));
}

function drawMap(canvas, channel) {
  canvas.hidden = !channel;
  if (channel) inTones(canvas, () => paint(canvas, channel.shares, channel.height, channel.width));
}

/** The few classes that are left at the end. */
function mostProbable({ top }) {
  return top.slice(0, 4).map(({ label, probability }) => {
    const fill = element("span", { class: "fill" });
    fill.style.width = `${(100 * probability).toFixed(2)}%`;
    return element("span", { class: "class" }, element("span", {}, label), element("span", { class: "track" }, fill));
  });
}

function drawVector(card, vector) {
  const canvas = card.querySelector("canvas");
  canvas.hidden = false;
  const [most, columns] = [Math.max(...vector.map(Math.abs)) || 1, Math.ceil(Math.sqrt(vector.length))];
  const rows = Math.ceil(vector.length / columns);
  const shares = Float32Array.from({ length: rows * columns }, (_, place) => (vector[place] ?? 0) / most);
  inTones(canvas, () => paint(canvas, shares, rows, columns));
}

function show(card, scroll) {
  const left = card.offsetLeft - (scroll.clientWidth - card.clientWidth) / 2;
  scroll.scrollTo({ left, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
}

customElements.define("network-strip", NetworkStrip);
