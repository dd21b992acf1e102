// What all views share: the run in use and the current picture, with what the network says of it.

import { read, send } from "./api.js";
import { Newest } from "./newest.js";
import { IN_ORDER, MOST_SHOWN } from "./probability-bars.js";

/** Tells "run" when another run is in use, "picture" when there is another picture, "waiting" while one is sent. */
class Desk extends EventTarget {
  run = null; // the answer of /v1/run
  picture = null; // { id, name, blob, label, prediction, milliseconds }
  waiting = false;
  #newest = new Newest();

  /** The server's first run; none is there yet while one is being trained. */
  async open() {
    const { runs } = await read("/v1/health");
    if (runs.length) await this.useRun(runs[0]);
  }

  /** The run of this name. The current picture is asked again of it. */
  async useRun(name) {
    this.run = await read("/v1/run", { run: name });
    this.#tell("run");
    if (this.picture) await this.choose(this.picture.blob, this.picture);
  }

  /** Sends a picture; while one is on its way only the latest waits. `label` is its true class where that is known. */
  async choose(blob, { name = blob.name ?? "picture", label = null, drawn = false } = {}) {
    this.#wait(true);
    try {
      const answer = await this.#newest.ask(() => send(blob, { run: this.run.name, top: this.#shown() }));
      if (answer) this.#take(answer, { blob, name, label, drawn });
    } finally {
      this.#wait(false);
    }
  }

  clear() {
    this.picture = null;
    this.#tell("picture");
  }

  #shown() {
    return this.run.classes.length <= IN_ORDER ? this.run.classes.length : MOST_SHOWN;
  }

  #take(answer, facts) {
    const prediction = answer.predictions[0];
    this.picture = { ...facts, id: prediction.picture, prediction, milliseconds: answer.milliseconds };
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
