// The window slides over what a layer reads, and its map is written number by number: as a convolution is computed.

const SECONDS = 6;
const FEWEST = 2.2;

/**
 * Moves the window on `source` (and what is lit on the picture, `sight`) while `own` fills; calls `ended` at the end.
 * Gives a function that stops it. Who asks for less motion sees every twelfth of the way, without haste.
 */
export function slide(unit, { own, source, sight, height, width }, ended) {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const count = height * width;
  const milliseconds = 1000 * Math.min(SECONDS, Math.max(FEWEST, count / 60));
  const move = mover(unit, { source, sight, height, width });
  const began = performance.now();
  let frame = 0;
  let shown = -1;

  const end = () => {
    cancelAnimationFrame(frame);
    own.reveal(null);
    own.place(unit.position.row, unit.position.column);
    move(unit.position.row, unit.position.column);
    ended();
  };
  const draw = (now) => {
    const share = calm ? Math.floor((12 * (now - began)) / (2 * milliseconds)) / 12 : (now - began) / milliseconds;
    if (share >= 1) return end();
    const place = Math.max(0, Math.floor(share * count));
    if (place !== shown) {
      shown = place;
      own.reveal(place + 1);
      own.place(Math.floor(place / width), place % width);
      move(Math.floor(place / width), place % width);
    }
    frame = requestAnimationFrame(draw);
    return undefined;
  };
  frame = requestAnimationFrame(draw);
  return end;
}

/** Where window and receptive field stand for another unit of the same map: both move by their stride. */
function mover(unit, { source, sight, height, width }) {
  const { rows, columns } = unit.steps.find((step) => step.reads?.rows).reads;
  const size = source.map;
  const stride = size ? [Math.max(1, Math.round(size.height / height)), Math.max(1, Math.round(size.width / width))] : [0, 0];
  const field = unit.receptive_field;
  const step = unit.stride ?? [0, 0];
  return (row, column) => {
    const [down, right] = [row - unit.position.row, column - unit.position.column];
    if (size) {
      const [top, left] = [rows[0] + down * stride[0], columns[0] + right * stride[1]];
      source.light({ top, left, bottom: top + rows.at(-1) - rows[0], right: left + columns.at(-1) - columns[0] });
    }
    const [y, x] = [down * step[0], right * step[1]];
    sight.light({ ...field, top: field.top + y, bottom: field.bottom + y, left: field.left + x, right: field.right + x });
  };
}
