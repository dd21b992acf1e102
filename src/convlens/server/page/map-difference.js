// Where one map is stronger than another: blue for the first, orange for the second, each map by its own largest value.

const FIRST = [47, 127, 208];
const SECOND = [232, 96, 36];

/** Maps of any sizes are (h, w) numbers; the finer one gives the canvas its size. */
export function drawDifference(canvas, first, second) {
  const [height, width] = [Math.max(first.length, second.length), Math.max(first[0].length, second[0].length)];
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const [one, two] = [strengths(first, height, width), strengths(second, height, width)];
  for (let place = 0; place < width * height; place += 1) {
    const by = one[place] - two[place];
    image.data.set([...(by > 0 ? FIRST : SECOND), Math.round(255 * Math.min(1, Math.abs(by)))], 4 * place);
  }
  context.putImageData(image, 0, 0);
}

function strengths(map, height, width) {
  const most = Math.max(1e-12, ...map.map((row) => Math.max(...row.map(Math.abs))));
  const row = (place) => map[Math.floor((Math.floor(place / width) * map.length) / height)];
  const at = (place) => row(place)[Math.floor(((place % width) * map[0].length) / width)];
  return Float32Array.from({ length: height * width }, (_, place) => Math.abs(at(place)) / most);
}
