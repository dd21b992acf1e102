// Of many questions the newest: the next one to be sent, the only one to be answered, the one after a rest.

/** One question at a time, and the newest one next: what was asked in between is never sent. */
export class Newest {
  #running = false;
  #waiting = null;

  /** `job()` runs now or when the running one has ended; only the latest waits. -> its answer, or undefined. */
  ask(job) {
    this.#waiting?.resolve(undefined);
    return new Promise((resolve, reject) => {
      this.#waiting = { job, resolve, reject };
      if (!this.#running) this.#next();
    });
  }

  async #next() {
    const { job, resolve, reject } = this.#waiting;
    this.#waiting = null;
    this.#running = true;
    try {
      resolve(await job());
    } catch (error) {
      reject(error);
    }
    this.#running = false;
    if (this.#waiting) this.#next();
  }
}

/** A function that answers only the last question given to it: of those before, answer and error become undefined. */
export function onlyLast() {
  let turn = 0;
  return async (asked) => {
    turn += 1;
    const own = turn;
    try {
      const answer = await asked;
      return own === turn ? answer : undefined;
    } catch (error) {
      if (own === turn) throw error;
      return undefined;
    }
  };
}

/** Calls after `milliseconds` without another call. */
export function still(act, milliseconds) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...given), milliseconds);
  };
}
