// <picture-source>: choose a picture from this machine, or one of the run's samples; in every view that needs one.

import { opened, showPicture } from "./api.js";
import { take } from "./arrivals.js";
import { desk, follow } from "./desk.js";
import { button, element, rove } from "./dom.js";
import { tell } from "./notices.js";

class PictureSource extends HTMLElement {
  #run = null; // whose samples are shown
  #file = element("input", { type: "file", accept: "image/*", hidden: true });
  #samples = element("div", { class: "samples", role: "group", "aria-label": "Samples of the run" });

  connectedCallback() {
    if (this.firstChild) return void this.#catchUp();
    this.#file.addEventListener("change", () => {
      take(this.#file.files[0]);
      this.#file.value = "";
    });
    const choose = button("Choose…", () => this.choose(), { symbol: "picture", "aria-label": "Choose a picture" });
    this.append(choose, this.#file, this.#samples);
    rove(this.#samples, "button");
    follow(this, { run: () => this.#showSamples(), picture: () => this.#markChosen() });
    this.#showSamples();
  }

  /** Opens the system's file dialogue. */
  choose() {
    this.#file.click();
  }

  /** What changed while another view was open. */
  #catchUp() {
    if (this.#run === desk.run) this.#markChosen();
    else this.#showSamples();
  }

  #showSamples() {
    this.#run = desk.run;
    const samples = desk.run?.samples ?? [];
    this.#samples.hidden = !samples.length;
    this.#samples.replaceChildren(...samples.map(sampleButton));
    this.#markChosen();
  }

  #markChosen() {
    const all = [...this.#samples.children];
    for (const one of all) one.setAttribute("aria-pressed", String(one.dataset.name === desk.picture?.name));
    const first = all.find((one) => one.getAttribute("aria-pressed") === "true") ?? all[0];
    for (const one of all) one.tabIndex = one === first ? 0 : -1;
  }
}

function sampleButton(sample) {
  const image = element("img", { alt: "", width: 48, height: 48, loading: "lazy" });
  showPicture(image, sample.url).catch(() => {});
  const label = sample.label ?? "class not known";
  const said = { "aria-label": `Sample: ${label}`, "data-tip": label, "data-name": sample.url };
  const use = () => useSample(sample).catch(tell);
  return element("button", { type: "button", class: "sample", onclick: use, ...said }, image);
}

/** A thumbnail of the run becomes the current picture; its class is known. -> whether it is */
export function useSample({ url, label }) {
  return desk.choose(opened(url).then((answer) => answer.blob()), { name: url, label });
}

customElements.define("picture-source", PictureSource);
