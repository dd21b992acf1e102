// <camera-shot>: the camera's picture, and a button that takes it. Where there is no camera to ask, the system's own.

import { take } from "./arrivals.js";
import { button, element } from "./dom.js";
import { problem } from "./notices.js";

const WISHED = { video: { facingMode: "environment", width: { ideal: 1280 } } };

class CameraShot extends HTMLElement {
  #stream = null;
  #turn = 0; // of starting and stopping: a camera that comes after it was let go is let go at once
  #video = element("video", { playsinline: true, muted: true, "aria-label": "What the camera sees" });
  #frame = element("div", { class: "frame" });
  #shoot = button("Take the picture", () => this.#take(), { symbol: "camera", class: "first", disabled: true });
  #own = element("input", { type: "file", accept: "image/*", capture: "environment", "aria-label": "Photograph" });

  connectedCallback() {
    if (this.firstChild) return;
    this.#own.addEventListener("change", () => take(this.#own.files[0]));
    this.append(this.#frame, this.#shoot);
  }

  async start() {
    if (this.#stream) return;
    if (!navigator.mediaDevices?.getUserMedia) return this.#offerOwn();
    this.#turn += 1;
    const turn = this.#turn;
    try {
      const stream = await navigator.mediaDevices.getUserMedia(WISHED);
      if (turn !== this.#turn) return release(stream);
      this.#stream = stream;
      this.#video.srcObject = this.#stream;
      this.#frame.replaceChildren(this.#video);
      await this.#video.play();
      this.#shoot.disabled = turn !== this.#turn;
    } catch (error) {
      if (turn === this.#turn) this.#refused(error);
    }
  }

  /** Lets the camera go: its light goes out. */
  stop() {
    this.#turn += 1;
    release(this.#stream);
    this.#stream = null;
    this.#shoot.disabled = true;
  }

  disconnectedCallback() {
    this.stop();
  }

  #offerOwn() {
    this.#shoot.hidden = true;
    const words = element("strong", {}, "Photograph with this device");
    this.#frame.replaceChildren(element("div", { class: "state" }, words, this.#own));
  }

  #refused(error) {
    const what = error.name === "NotFoundError" ? "No camera was found." : "The camera may not be used.";
    const remedy = "Allow it for this address in the browser, or choose a picture instead.";
    this.#frame.replaceChildren(problem({ message: what, remedy }, () => this.start()));
  }

  #take() {
    const { videoWidth: width, videoHeight: height } = this.#video;
    const canvas = element("canvas", { width, height });
    canvas.getContext("2d").drawImage(this.#video, 0, 0);
    canvas.toBlob((blob) => take(new File([blob], "photograph.jpg", { type: "image/jpeg" })), "image/jpeg", 0.92);
  }
}

function release(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

customElements.define("camera-shot", CameraShot);
