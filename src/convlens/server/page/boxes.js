// Boxes over pictures: a window of pixels, in parts of the picture that it lies on.

/** `window` is { top, left, tall, wide } in pixels of a picture of { height, width }. */
export function lay(box, { top, left, tall, wide }, { height, width }) {
  const share = (part, whole) => `${(100 * part) / whole}%`;
  Object.assign(box.style, { top: share(top, height), left: share(left, width), height: share(tall, height), width: share(wide, width) });
}
