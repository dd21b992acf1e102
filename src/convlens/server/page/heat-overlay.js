// <heat-overlay>: the picture as the network sees it, and a coloured map over it at any opacity.

import { picturePath, showPicture } from "./api.js";
import { element } from "./dom.js";

/** Networks of pictures so small show their pixels as squares. */
export const isSmall = ({ width, height }) => Math.max(width, height) <= 64;

class HeatOverlay extends HTMLElement {
  #picture = element("img", { class: "seen", alt: "" });
  #map = element("img", { class: "map", alt: "", hidden: true });

  connectedCallback() {
    if (!this.firstChild) this.append(this.#picture, this.#map);
  }

  /** `picture` of the desk, `run` of /v1/run. */
  async show(picture, run) {
    const { width, height } = run.input;
    this.style.aspectRatio = `${width} / ${height}`;
    this.classList.toggle("pixels", isSmall(run.input));
    this.#picture.alt = `${picture.label ?? "The picture"}, as the network sees it`;
    await showPicture(this.#picture, picturePath(picture.id, "seen", run.name));
  }

  /** A data URL of a map of the same frame, or null for none; `said` describes it. */
  lay(map, said = "") {
    this.#map.hidden = !map;
    this.#map.alt = said;
    if (map) this.#map.src = map;
  }

  /** 0 shows the picture alone, 1 the map alone. */
  set opacity(share) {
    this.#map.style.opacity = share;
  }
}

customElements.define("heat-overlay", HeatOverlay);
