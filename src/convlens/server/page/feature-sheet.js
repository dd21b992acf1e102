// <feature-sheet>: the channels of a layer as tiles, strongest first or by number; more come as one scrolls.

import { ask } from "./api.js";
import { element, rove } from "./dom.js";
import { channelsOf } from "./map-pictures.js";
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

  /** `layer` is one of /v1/network. Tells "choose-channel" with { channel }. */
  show({ picture, run, layer, order }) {
    this.#stop.abort();
    this.#stop = new AbortController();
    this.#asked = { picture, run, layer, order };
    [this.#count, this.#drawn] = [channelCount(layer), 0];
    this.#tiles.replaceChildren();
    this.#tiles.setAttribute("aria-label", `Channels of ${layer.path}`);
    this.#tiles.setAttribute("role", "group");
    this.#end.replaceChildren(loading("Channels"));
    this.#watch.disconnect();
    return this.#more().then(() => this.#watch.observe(this.#end));
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
      const asked = { picture: { id: picture.id }, run: run.name, layers: [layer.path], count: BATCH, first: this.#drawn, order };
      const answer = await ask("/v1/features", asked, { signal });
      const channels = await channelsOf(answer.features[0]);
      if (signal.aborted) return;
      this.#tiles.append(...channels.map((channel) => this.#tile(channel)));
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
    this.#end.replaceChildren(element("p", { class: "quiet" }, this.#drawn < this.#count ? `${this.#drawn} of ${this.#count} channels` : `all ${this.#count} channels`));
  }

  #tile(channel) {
    const canvas = element("canvas", { "aria-hidden": "true" });
    if (channel.shares) inTones(canvas, () => paint(canvas, channel.shares, channel.height, channel.width));
    const said = `Channel ${channel.channel}, from ${significant(channel.least, 3)} to ${significant(channel.most, 3)}`;
    const choose = () => this.dispatchEvent(new CustomEvent("choose-channel", { bubbles: true, detail: { channel: channel.channel } }));
    return element("button", { type: "button", class: "map-tile", tabindex: -1, "data-channel": channel.channel, "aria-label": said, "aria-pressed": "false", onclick: choose },
      canvas,
      element("span", { class: "caption" }, element("span", {}, channel.channel), element("span", { class: "quiet" }, significant(channel.most, 3))));
  }
}

const channelCount = ({ shape }) => (shape.length > 1 ? shape[shape.length === 4 || shape.length === 2 ? 1 : 0] : shape[0]);

export function columnsOf(tiles) {
  const top = tiles.firstElementChild?.offsetTop;
  const all = [...tiles.children];
  const next = all.findIndex((tile) => tile.offsetTop !== top);
  return next < 0 ? all.length : next;
}

customElements.define("feature-sheet", FeatureSheet);
