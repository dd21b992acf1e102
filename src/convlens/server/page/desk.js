// What all views share: the run in use and the current picture, with what the network says of it.

import { read, send } from "./api.js";
import { Newest } from "./newest.js";
import { IN_ORDER, MOST_SHOWN } from "./probability-bars.js";

/** Tells "run" when another run is in use, "picture" when there is another picture, "waiting" while one is sent. */
class Desk extends EventTarget {
  run = null; // the answer of /v1/run
  picture = null; // { id, name, blob, label, drawn, prediction, milliseconds }; a label only where the run has the class
  waiting = false;
  #given = null; // what was given last: { blob, name, label, drawn }
  #answered = null; // the same of the current picture
  #turn = 0; // of choosing a run
  #cleared = 0; // times
  #newest = new Newest();

  /** The server's first run; none is there yet while one is being trained. */
  async open() {
    const { runs } = await read("/v1/health");
    if (runs.length) await this.useRun(runs[0]);
  }

  /** The run of this name. The current picture, or the one that is on its way, is asked of it. */
  async useRun(name) {
    this.#turn += 1;
    const turn = this.#turn;
    const run = await read("/v1/run", { run: name });
    if (turn !== this.#turn) return;
    this.run = run;
    this.#tell("run");
    if (this.#given) await this.choose(this.#given.blob, this.#given);
  }

  /** Sends a picture; while one is on its way only the latest waits. `label` is its true class where that is known. */
  async choose(blob, { name = blob.name ?? "picture", label = null, drawn = false } = {}) {
    const given = { blob, name, label, drawn };
    const cleared = this.#cleared;
    this.#given = given;
    this.#wait(true);
    try {
      const answer = await this.#newest.ask(() => send(blob, { run: this.run.name, top: this.#shown() }));
      if (answer && cleared === this.#cleared) this.#take(answer, given);
    } catch (error) {
      if (this.#given === given) this.#given = this.#answered;
      throw error;
    } finally {
      this.#wait(false);
    }
  }

  /** What is on its way is not wanted any more either. */
  clear() {
    this.#cleared += 1;
    this.picture = this.#given = this.#answered = null;
    this.#tell("picture");
  }

  #shown() {
    return this.run.classes.length <= IN_ORDER ? this.run.classes.length : MOST_SHOWN;
  }

  /** Not what a run says that is no longer in use: the one that is has been asked too. */
  #take(answer, given) {
    if (answer.run !== this.run.name) return;
    const prediction = answer.predictions[0];
    const label = this.run.classes.includes(given.label) ? given.label : null;
    this.#answered = given;
    this.picture = { ...given, label, id: prediction.picture, prediction, milliseconds: answer.milliseconds };
    this.#tell("picture");
  }

  #wait(waiting) {
    this.waiting = waiting;
    this.#tell("waiting");
  }

  #tell(what) {
    this.dispatchEvent(new Event(what));
  }
}

export const desk = new Desk();

/** Listens to the desk for as long as `view` is in the page. */
export function follow(view, handlers) {
  for (const [what, act] of Object.entries(handlers)) desk.addEventListener(what, () => view.isConnected && act());
}
