// Pictures that an evaluation kept, with what the network said of them; a click opens one in Try.

import { showPicture } from "./api.js";
import { element } from "./dom.js";
import { percent } from "./format.js";
import { tell } from "./notices.js";
import { useSample } from "./picture-source.js";

/** `pictures` are { url, label, predicted, probability }; without a url none was kept. */
export function judgedPictures(pictures) {
  return element("ul", { class: "judged" }, pictures.map((one) => element("li", {}, picture(one))));
}

function picture({ url, label, predicted, probability }) {
  const right = label === predicted;
  const words = right ? `${label}, recognised` : `${label}, taken for ${predicted}`;
  const image = element("img", { alt: "", width: 96, height: 96, loading: "lazy" });
  if (url) showPicture(image, url).catch(() => {});
  const said = right ? label : [element("span", {}, label), element("span", {}, `→ ${predicted}`)];
  const sure = Number.isFinite(probability) ? percent(probability) : "";
  const facts = { type: "button", class: "picture", "aria-label": `${words} ${sure}. Open it in Try` };
  return element("button", { ...facts, disabled: !url, onclick: () => open(url, label) },
    image, element("span", { class: "words" }, said), element("span", { class: "quiet number" }, sure));
}

async function open(url, label) {
  const from = location.hash;
  try {
    const used = await useSample({ url, label });
    if (used && location.hash === from) location.hash = "#try"; // whoever went on meanwhile is not called back
  } catch (error) {
    tell(error);
  }
}
