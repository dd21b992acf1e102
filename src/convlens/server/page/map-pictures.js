// Feature maps from the sheets of /v1/features: grey from each channel's least to its most becomes numbers, then colour.

/** One answer of /v1/features -> its channels, each with `shares`: its numbers by its own largest magnitude. */
export async function channelsOf(feature) {
  if (feature.vector) return ofVector(feature.vector);
  const [height, width] = feature.tile;
  const grey = await greyOf(feature.sheet);
  return feature.channels.map((channel, place) => {
    const [top, left] = [Math.floor(place / feature.columns) * height, (place % feature.columns) * width];
    return { ...channel, height, width, shares: shares(channel, (row, column) => grey.data[4 * ((top + row) * grey.width + left + column)], height, width) };
  });
}

/** A dense layer's numbers: maps of one position, coloured by the largest of all. */
export function ofVector(numbers) {
  const largest = numbers.reduce((most, number) => Math.max(most, Math.abs(number)), 0) || 1;
  return numbers.map((number, channel) => ({ channel, least: number, most: number, height: 1, width: 1, shares: [number / largest] }));
}

/** What a recurrent layer gives, steps × numbers: a map for each step, its numbers line by line. */
export function ofSteps(numbers, [steps, width]) {
  const lines = divisors(width).findLast((one) => one * one <= width);
  return Array.from({ length: steps }, (_, channel) => {
    const own = numbers.slice(channel * width, (channel + 1) * width);
    const [least, most] = [Math.min(...own), Math.max(...own)];
    const largest = Math.max(Math.abs(least), Math.abs(most)) || 1;
    return { channel, least, most, height: lines, width: width / lines, shares: own.map((number) => number / largest) };
  });
}

const divisors = (count) => Array.from({ length: count }, (_, place) => place + 1).filter((one) => count % one === 0);

function shares({ least, most }, greyAt, height, width) {
  const largest = Math.max(Math.abs(least), Math.abs(most)) || 1;
  const made = new Float32Array(height * width);
  for (let place = 0; place < made.length; place++) {
    const grey = greyAt(Math.floor(place / width), place % width) / 255;
    made[place] = (least + grey * (most - least)) / largest;
  }
  return made;
}

/** The pixels of a data URL. */
export async function greyOf(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

/** {"base64", "shape"} of float32 numbers -> Float32Array. */
export function numbersOf({ base64 }) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}
