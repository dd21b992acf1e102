// Pictures that arrive from outside, in whatever view: dropped anywhere on the page, or pasted.

import { ServerError } from "./api.js";
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
    takeFirst(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => takeFirst(event.clipboardData?.files ?? []));
}

/** One picture is current; where more came, it says which. */
function takeFirst(files) {
  if (files.length > 1) {
    const others = "Drop the others one by one; `convlens predict` takes many.";
    tell(new ServerError(0, `${files.length} files came, and ${files[0].name} is taken.`, others));
  }
  return take(files[0]);
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
