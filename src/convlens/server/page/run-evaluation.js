// <run-evaluation>: has the server score the run, shows how far that is, and says when it is done.

import { ServerError, ask, read } from "./api.js";
import { desk } from "./desk.js";
import { button, element } from "./dom.js";
import { count } from "./format.js";
import { empty, problem } from "./notices.js";

const LOOK = 700; // ms between two looks
const PHASES = {
  begin: "Beginning", scan: "Looking through the pictures", decode: "Reading the pictures",
  read: "Reading and scoring the pictures", corrupt: "Scoring changed pictures",
};

/** `asks` are { title, text, words, robustness }: what stands there until it is begun. */
class RunEvaluation extends HTMLElement {
  #asks = {};
  #run = null;
  #running = false;
  #timer = 0;
  #words = element("p");
  #told = element("p", { class: "unseen", role: "status" }); // without the numbers, which never rest
  #bar = element("progress", { max: 1, "aria-label": "How far the evaluation is" });

  /** `found` is the answer of /v1/evaluation. */
  show(run, { evaluating, can_evaluate: can }, asks) {
    this.#run = run;
    this.#asks = { ...asks, can };
    this.#take(evaluating);
  }

  connectedCallback() {
    if (this.#running) this.#look(); // it was out of sight for a while
  }

  disconnectedCallback() {
    clearTimeout(this.#timer);
  }

  #take(state) {
    this.#running = Boolean(state?.running);
    if (state?.failed) this.replaceChildren(problem(failure(state.failed), this.#asks.can && (() => this.#begin())));
    else if (state?.running) this.#follow(state);
    else this.replaceChildren(this.#idle());
  }

  #idle() {
    const { title, text, words, can } = this.#asks;
    return empty(title, text, can && button(words, () => this.#begin(), { class: "first" }));
  }

  async #begin() {
    const { robustness = false } = this.#asks;
    try {
      this.#take(await ask("/v1/evaluate", { run: this.#run.name, robustness }));
      this.querySelector(".state").focus({ preventScroll: true }); // the button is gone
    } catch (error) {
      this.replaceChildren(problem(error, () => this.#begin()));
    }
  }

  #follow({ phase, done, total }) {
    const known = total > 0;
    const at = PHASES[phase] ?? phase;
    this.#words.textContent = `${at}${known ? `: ${count(done)} of ${count(total)}` : ""} …`;
    if (known) this.#bar.value = done / total;
    else this.#bar.removeAttribute("value");
    if (!this.#bar.isConnected) {
      const parts = [element("strong", {}, "Evaluating"), this.#words, this.#bar, this.#told];
      this.replaceChildren(element("div", { class: "state", tabindex: -1 }, parts));
    }
    if (this.#told.textContent !== at) this.#told.textContent = at;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#look(), LOOK);
  }

  async #look() {
    try {
      const { evaluating } = await read("/v1/evaluation", { run: this.#run.name });
      if (!this.isConnected) return;
      if (evaluating?.running || evaluating?.failed) this.#take(evaluating);
      else await this.#end();
    } catch (error) {
      this.replaceChildren(problem(error, () => this.#look()));
    }
  }

  /** The run has more pictures to try now, and an evaluation to show. */
  async #end() {
    this.#running = false;
    await desk.renew(this.#run.name);
  }
}

function failure(words) {
  const [what, ...remedy] = words.split("; ");
  return new ServerError(0, what, remedy.join("; "));
}

customElements.define("run-evaluation", RunEvaluation);
