// <run-bar>: which run is in use, a choice where several are served, the current picture, and light or dark.

import { picturePath, showPicture } from "./api.js";
import { desk, follow } from "./desk.js";
import { button, element } from "./dom.js";
import { isSmall } from "./heat-overlay.js";
import { short } from "./format.js";
import { onlyLast } from "./newest.js";
import { tell } from "./notices.js";

const LOOKS = ["", "light", "dark"]; // "" is what the system asks for
const KEPT = "convlens look";

class RunBar extends HTMLElement {
  #facts = element("div", { class: "facts" });
  #picture = element("a", { class: "current", href: "#try", hidden: true });
  #image = element("img", { alt: "", width: 32, height: 32 });

  connectedCallback() {
    this.#picture.append(this.#image);
    this.append(this.#facts, this.#picture, lookButton());
    follow(this, { run: () => this.#showRun(), picture: () => this.#showCurrent().catch(() => {}) });
    this.#showRun();
  }

  #showRun() {
    if (!desk.run) return;
    const { name, runs, network, num_parameters: parameters, input } = desk.run;
    document.body.classList.toggle("small-pictures", isSmall(input));
    const said = element("span", { class: "quiet" }, `${network} · ${short(parameters)} parameters`);
    const shown = runs.length > 1 ? runChoice(runs, () => desk.run.name) : element("strong", {}, name);
    this.#facts.replaceChildren(shown, said);
  }

  async #showCurrent() {
    this.#picture.hidden = !desk.picture;
    if (!desk.picture) return;
    const said = `The current picture: ${desk.picture.name}`;
    this.#picture.setAttribute("aria-label", said);
    this.#picture.dataset.tip = said;
    await showPicture(this.#image, picturePath(desk.picture.id, "seen", desk.run.name));
  }
}

/** A list of the served runs; choosing one asks it about the current picture. `now()` is the one in use. */
export function runChoice(runs, now, act = (name) => desk.useRun(name), label = "Run") {
  const last = onlyLast();
  const choose = () => last(act(list.value).catch(tell).then(now)).then((name) => { list.value = name ?? list.value; });
  const list = element("select", { "aria-label": label, onchange: choose });
  list.append(...runs.map((name) => element("option", { value: name, selected: name === now() }, name)));
  return list;
}

function lookButton() {
  const use = (look) => { document.documentElement.dataset.look = look; };
  use(localStorage.getItem(KEPT) ?? "");
  const turn = () => {
    const next = LOOKS[(LOOKS.indexOf(document.documentElement.dataset.look) + 1) % LOOKS.length];
    use(next);
    localStorage.setItem(KEPT, next);
    made.setAttribute("aria-label", said());
    made.dataset.tip = said();
  };
  const said = () => `Colours: ${document.documentElement.dataset.look || "as the system"}`;
  const made = button("", turn, { symbol: "theme", class: "bare look", "aria-label": said(), "data-tip": said() });
  return made;
}

customElements.define("run-bar", RunBar);
