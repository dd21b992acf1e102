"""Huffman codes for long rows of small whole numbers (Huffman, 1952, https://doi.org/10.1109/JRPROC.1952.273898).

Codes are canonical: the lengths alone say them. No code is longer than 16 bits; within that bound the lengths are the
best ones (package-merge: Larmore and Hirschberg, 1990, https://doi.org/10.1145/79147.79150). A row is cut into blocks
of 1,024 symbols, each from a whole byte on, so that all blocks are decoded at once, symbol by symbol: 1.2 million
symbols in a tenth of a second, of which a loop over symbols would take many.
"""

from __future__ import annotations

import numpy as np

LONGEST = 16  # bits of a code
BLOCK = 1024  # symbols that begin at a whole byte
GROUP = 256 * BLOCK  # symbols whose bits are held at once


def code_lengths(counts: np.ndarray) -> np.ndarray:
    """How often each symbol occurs, (K,) -> the bits of its code, uint8 (K,); 0 for those that never do.

    One that occurs alone takes 1 bit. At most 65,536 symbols can have codes.
    """
    lengths = np.zeros(len(counts), dtype=np.uint8)
    leaves = sorted((int(counts[symbol]), (int(symbol),)) for symbol in np.flatnonzero(counts))
    if len(leaves) == 1:
        lengths[leaves[0][1][0]] = 1
    assert len(leaves) <= 2**LONGEST, f"{len(leaves)} symbols have no codes of {LONGEST} bits"
    packages: list[tuple[int, tuple[int, ...]]] = []
    for _ in range(LONGEST):
        row = sorted(leaves + packages)
        packages = [(a[0] + b[0], a[1] + b[1]) for a, b in zip(row[::2], row[1::2], strict=False)]
    for _, symbols in packages[: max(0, len(leaves) - 1)]:
        np.add.at(lengths, list(symbols), 1)
    return lengths


def encode(symbols: np.ndarray, lengths: np.ndarray) -> bytes:
    """(N,) -> the sizes in bytes of the blocks, uint16 in little-endian order, then the blocks."""
    codes, groups = _canonical(lengths), range(0, len(symbols), GROUP)
    parts = [_encode_group(symbols[start : start + GROUP], lengths, codes) for start in groups]
    sizes = [size for size, _ in parts]
    return b"".join([np.concatenate(sizes).astype("<u2").tobytes() if sizes else b"", *(data for _, data in parts)])


def decode(data: bytes | memoryview, count: int, lengths: np.ndarray) -> np.ndarray:
    """The `count` symbols that were encoded with these lengths; ValueError where the data is not as long as it says."""
    num_blocks = -(-count // BLOCK)
    sizes = np.frombuffer(data[: 2 * num_blocks], dtype="<u2").astype(np.int64)
    bits = np.frombuffer(data[2 * num_blocks :], dtype=np.uint8)
    if len(sizes) != num_blocks or sizes.sum() != len(bits):
        raise ValueError(f"{num_blocks} blocks do not fill {len(data):,} bytes")
    bits = np.concatenate([bits, np.zeros(LONGEST // 8 + 1, dtype=np.uint8)]).astype(np.uint32)
    symbol_of, length_of = _table(lengths)
    place = 8 * (np.cumsum(sizes) - sizes)
    found = np.empty((min(count, BLOCK), num_blocks), dtype=symbol_of.dtype)
    for row in found:
        byte = np.minimum(place >> 3, len(bits) - 3)  # past the end lie symbols of the last block that nobody asked for
        window = (bits[byte] << 16 | bits[byte + 1] << 8 | bits[byte + 2]) >> (8 - (place & 7)) & 0xFFFF
        row[:] = symbol_of[window]
        place += length_of[window]
    return found.T.ravel()[:count]


def _canonical(lengths: np.ndarray) -> np.ndarray:
    """The codes, (K,): among those of one length in the order of their symbols, after all shorter ones."""
    codes = np.zeros(len(lengths), dtype=np.int64)
    code = previous = 0
    for symbol in _in_order(lengths):
        code <<= int(lengths[symbol]) - previous
        codes[symbol], previous = code, int(lengths[symbol])
        code += 1
    return codes


def _in_order(lengths: np.ndarray) -> np.ndarray:
    coded = np.flatnonzero(lengths)
    return coded[np.argsort(lengths[coded], kind="stable")]


def _table(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the next 16 bits begin with: its symbol and its length, each (65,536,)."""
    order = _in_order(lengths)
    spans = 2 ** (LONGEST - lengths[order].astype(np.int64))
    if spans.sum() > 2**LONGEST:
        raise ValueError("the lengths are those of no code")
    left = 2**LONGEST - int(spans.sum())
    symbols, sizes = np.append(order, 0), np.append(lengths[order], 1)  # an unused end, of one symbol with one bit
    spans = np.append(spans, left)
    return np.repeat(symbols.astype(np.uint16), spans), np.repeat(sizes.astype(np.int64), spans)


def _encode_group(symbols: np.ndarray, lengths: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, bytes]:
    """Sizes of the blocks in bytes, and their bytes."""
    width = lengths[symbols].astype(np.int64)
    ends = np.cumsum(width)
    firsts = np.arange(0, len(symbols), BLOCK)
    sizes = -(-np.add.reduceat(width, firsts) // 8)
    shift = 8 * (np.cumsum(sizes) - sizes) - (ends - width)[firsts]  # of a block's bits, to a whole byte
    each = np.repeat(np.arange(len(symbols)), width)  # of every bit: its symbol …
    place = np.arange(len(each))
    left = ends[each] - 1 - place  # … and how many bits of the code follow
    bits = np.zeros(8 * int(sizes.sum()), dtype=np.uint8)
    bits[place + shift[each // BLOCK]] = codes[symbols[each]] >> left & 1
    return sizes, np.packbits(bits).tobytes()
