// Server-sent events read by fetch, so that the token goes along; where the line breaks it is opened again.

import { isAbort, opened } from "./api.js";

const WAITS = [500, 1000, 2000, 5000]; // milliseconds before each next try; the last one for ever

/** Calls `handle(name, data)` for each event until the signal aborts, and `broken(error)` when the line does. */
export async function follow(path, handle, { signal, broken }) {
  for (let tries = 0; !signal.aborted; tries += 1) {
    try {
      const response = await opened(path, { signal, headers: { Accept: "text/event-stream" } });
      broken(null);
      tries = 0;
      await each(response.body, handle);
    } catch (error) {
      if (isAbort(error)) return;
      broken(error);
    }
    await pause(WAITS[Math.min(tries, WAITS.length - 1)], signal);
  }
}

async function each(body, handle) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const events = (rest + part.value.replaceAll("\r\n", "\n")).split("\n\n");
    rest = events.pop();
    for (const event of events) tell(event, handle);
  }
}

function tell(event, handle) {
  const fields = event.split("\n").map((line) => line.match(/^(\w+): ?(.*)$/)?.slice(1)).filter(Boolean);
  const data = fields.filter(([name]) => name === "data").map(([, value]) => value).join("\n");
  if (data) handle(fields.find(([name]) => name === "event")?.[1] ?? "message", JSON.parse(data));
}

function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}
