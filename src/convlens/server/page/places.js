// Where a number stands: the positions that a step reads, and how they are called.

/** Position of an operand or of a moved number: what /v1/unit takes. */
export const placeOf = ({ node, layer, channel, row, column, index, output }) => ({ node, layer, channel, row, column, index, output });

/** The numbers of a window in their order, each with its position: the product of the indices of all dimensions. */
export function cellsOf({ inputs, reads }) {
  const places = reads.index.reduce((all, along) => all.flatMap((index) => along.map((at) => [...index, at])), [[]]);
  const values = [inputs].flat(Infinity);
  return places.map((index, at) => ({ value: values[at], place: positionAt(reads, index) }));
}

export function positionAt({ node, layer, output }, index) {
  const named = index[0] === 0 ? { channel: index[1], row: index[2], column: index[3] } : {};
  return { node, layer, output, ...named, index };
}

/** "channel 3, row 4, column 5"; of the picture its colour. */
export function spoken({ node, channel, row, column, index }, colours = 3) {
  if (channel === undefined) return `place ${(index ?? []).join(", ")}`;
  const first = node === -1 ? colourName(channel, colours) : `channel ${channel}`;
  return row === undefined || row === null ? first : `${first}, row ${row}, column ${column}`;
}

export const colourName = (channel, colours) => (colours === 1 ? "grey" : ["red", "green", "blue"][channel] ?? `channel ${channel}`);
