// Pictures that arrive from outside, in whatever view: dropped anywhere on the page, or pasted.

import { desk } from "./desk.js";
import { element } from "./dom.js";
import { tell } from "./notices.js";

export function takeArrivals() {
  const words = element("strong", {}, "Drop the picture anywhere");
  const veil = element("div", { class: "veil", hidden: true, "aria-hidden": "true" }, words);
  document.body.append(veil);
  document.addEventListener("dragover", (event) => {
    if (!carriesFile(event)) return;
    event.preventDefault();
    veil.hidden = false;
  });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) veil.hidden = true; });
  document.addEventListener("drop", (event) => {
    veil.hidden = true;
    if (!carriesFile(event)) return;
    event.preventDefault();
    take(event.dataTransfer.files[0]);
  });
  document.addEventListener("paste", (event) => take(event.clipboardData?.files[0]));
}

/** What the user gave: a file, sent as it is; the server says if it is no picture. */
export async function take(file) {
  if (!file) return;
  try {
    await desk.choose(file, { name: file.name });
  } catch (error) {
    tell(error);
  }
}

const carriesFile = (event) => event.dataTransfer?.types.includes("Files");
