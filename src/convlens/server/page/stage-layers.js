// <stage-layers>: the layers of one stage in their order, with their shape, parameters, MACs and receptive field.

import { ask } from "./api.js";
import { element, rove } from "./dom.js";
import { short } from "./format.js";
import { channelsOf } from "./map-pictures.js";
import { fieldFact } from "./network-strip.js";
import { sized } from "./numbers.js";
import { inTones, paint } from "./tones.js";

const MAPS = 3;

class StageLayers extends HTMLElement {
  #list = element("div", { class: "layer-list", role: "group" });

  connectedCallback() {
    if (this.firstChild) return;
    this.append(this.#list);
    rove(this.#list, "button");
  }

  /** Tells "choose-layer" with { layer }. */
  build(stage, layers, input) {
    this.#list.setAttribute("aria-label", `Layers of ${stage.title}`);
    this.#list.replaceChildren(...layers.map((layer) => this.#row(layer, stage, input)));
    if (this.#list.firstElementChild) this.#list.firstElementChild.tabIndex = 0;
    this.#list.scrollTop = 0;
  }

  mark(layer) {
    for (const row of this.#list.children) {
      const own = row.dataset.layer === layer?.path;
      row.setAttribute("aria-pressed", String(own));
      row.tabIndex = own ? 0 : -1;
      if (own) this.#list.scrollTop = Math.max(0, row.offsetTop - this.#list.clientHeight / 2);
    }
  }

  async fill(layers, picture, run, signal) {
    const spatial = layers.filter((layer) => layer.spatial);
    if (!spatial.length) return;
    const answer = await ask("/v1/features", { picture: { id: picture.id }, run: run.name, layers: spatial.map((layer) => layer.path), count: MAPS }, { signal });
    for (const feature of answer.features) {
      const row = [...this.#list.children].find((one) => one.dataset.layer === feature.layer);
      const channels = feature.vector ? [] : await channelsOf(feature);
      if (signal.aborted) return;
      row?.querySelectorAll("canvas").forEach((canvas, place) => {
        const channel = channels[place];
        if (!channel) canvas.hidden = true;
        else inTones(canvas, () => paint(canvas, channel.shares, channel.height, channel.width));
      });
    }
  }

  #row(layer, stage, input) {
    const choose = () => this.dispatchEvent(new CustomEvent("choose-layer", { bubbles: true, detail: { layer } }));
    const maps = element("span", { class: "minis", "aria-hidden": "true" }, Array.from({ length: MAPS }, () => element("canvas", { hidden: !layer.spatial })));
    const counts = [layer.parameters ? `${short(layer.parameters)} parameters` : "", layer.macs ? `${short(layer.macs)} MACs` : ""].filter(Boolean).join(" · ");
    return element("button", { type: "button", class: "layer-row", tabindex: -1, "data-layer": layer.path, "aria-pressed": "false", onclick: choose },
      maps,
      element("span", { class: "layer-name" }, element("strong", {}, shortened(layer.path, stage.path)), element("span", { class: "quiet" }, layer.title ?? layer.kind)),
      element("span", { class: "layer-facts quiet" }, element("span", {}, sized(layer.shape)), element("span", {}, counts), fieldFact(layer.receptive_field, input)));
  }
}

/** stages.3.conv.0 in stages.3 -> conv.0 */
const shortened = (path, stage) => (path.startsWith(`${stage}.`) ? path.slice(stage.length + 1) : path);

customElements.define("stage-layers", StageLayers);
