// <feature-sheet>: the channels of a layer as tiles, strongest first or by number; more come as one scrolls.

import { ask } from "./api.js";
import { element, rove } from "./dom.js";
import { channelsOf, ofSteps, ofVector } from "./map-pictures.js";
import { loading, problem } from "./notices.js";
import { significant } from "./numbers.js";
import { inTones, paint } from "./tones.js";

const BATCH = 32;

class FeatureSheet extends HTMLElement {
  #asked = null; // { picture, run, layer, order }
  #count = 0;
  #drawn = 0;
  #stop = new AbortController();
  #tiles = element("div", { class: "map-tiles" });
  #end = element("div", { class: "sheet-end" });
  #watch = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && this.#more(), { rootMargin: "300px" });

  connectedCallback() {
    if (!this.firstChild) {
      this.append(this.#tiles, this.#end);
      rove(this.#tiles, "button", { columns: () => columnsOf(this.#tiles) });
    }
  }

  disconnectedCallback() {
    this.#watch.disconnect();
  }

  /** `layer` is one of /v1/network. Tells "choose-channel" with { channel }. -> false if another one came */
  async show({ picture, run, layer, order }) {
    this.#stop.abort();
    const { signal } = (this.#stop = new AbortController());
    this.busy = null;
    this.#asked = { picture, run, layer, order };
    [this.#count, this.#drawn] = [channelCount(layer), 0];
    this.firstChannel = undefined;
    this.#tiles.replaceChildren();
    this.#tiles.setAttribute("aria-label", `Channels of ${layer.path}`);
    this.#tiles.setAttribute("role", "group");
    this.#end.replaceChildren(loading("Channels"));
    this.#watch.disconnect();
    await this.#more();
    if (!signal.aborted) this.#watch.observe(this.#end);
    return !signal.aborted;
  }

  mark(channel) {
    for (const tile of this.#tiles.children) tile.setAttribute("aria-pressed", String(Number(tile.dataset.channel) === channel));
  }

  async #more() {
    if (this.#drawn >= this.#count || this.busy) return;
    const { picture, run, layer, order } = this.#asked;
    const { signal } = this.#stop;
    this.busy = signal;
    try {
      const channels = await channelsAsked({ picture, run, layer, order }, this.#drawn, signal);
      if (signal.aborted) return;
      this.#tiles.append(...channels.map((channel) => this.#tile(channel)));
      this.firstChannel ??= channels[0]?.channel;
      this.#drawn += channels.length;
      if (!channels.length) this.#count = this.#drawn;
      this.#afterwards();
    } catch (error) {
      if (!signal.aborted) this.#end.replaceChildren(problem(error, () => this.#more()));
    } finally {
      if (this.busy === signal) this.busy = null;
    }
  }

  #afterwards() {
    const first = this.#tiles.firstElementChild;
    if (first && !this.#tiles.querySelector('[tabindex="0"]')) first.tabIndex = 0;
    const said = this.#drawn < this.#count ? `${this.#drawn} of ${this.#count} channels` : `all ${this.#count} channels`;
    this.#end.replaceChildren(element("p", { class: "quiet" }, said));
  }

  #tile(channel) {
    const canvas = element("canvas", { "aria-hidden": "true" });
    if (channel.shares) inTones(canvas, () => paint(canvas, channel.shares, channel.height, channel.width));
    const name = this.#asked.layer.names?.[channel.channel] ?? channel.channel;
    const said = `Channel ${name}, from ${significant(channel.least, 3)} to ${significant(channel.most, 3)}`;
    const choose = () => this.dispatchEvent(new CustomEvent("choose-channel", { bubbles: true, detail: { channel: channel.channel } }));
    const spoken = { "aria-label": said, "aria-pressed": "false" };
    return element("button", { type: "button", class: "map-tile", tabindex: -1, "data-channel": channel.channel, onclick: choose, ...spoken },
      canvas,
      element("span", { class: "caption" }, element("span", {}, name), element("span", { class: "quiet" }, significant(channel.most, 3))));
  }
}

const channelCount = ({ shape }) => shape[0];

async function channelsAsked({ picture, run, layer, order }, first, signal) {
  const values = { picture: { id: picture.id }, run: run.name };
  const probable = layer.path === "probabilities";
  const [feature] = probable ? [] : (await ask("/v1/features", { ...values, layers: [layer.path], count: BATCH, first, order }, { signal })).features;
  if (feature && !feature.vector) return channelsOf(feature);
  const all = layer.shape.length === 2 ? ofSteps(feature.vector, layer.shape) : ofVector(feature?.vector ?? (await probabilities(values, signal)));
  if (order === "strongest") all.sort((one, other) => other.most - one.most);
  return all.slice(first, first + BATCH);
}

async function probabilities({ picture, run }, signal) {
  const answer = await ask("/v1/predict", { pictures: [picture], run, all: true }, { signal });
  const { top } = answer.predictions[0];
  return top.reduce((all, { index, probability }) => { all[index] = probability; return all; }, new Array(top.length));
}

export function columnsOf(tiles) {
  const top = tiles.firstElementChild?.offsetTop;
  const all = [...tiles.children];
  const next = all.findIndex((tile) => tile.offsetTop !== top);
  return next < 0 ? all.length : next;
}

customElements.define("feature-sheet", FeatureSheet);
