"""Tensors in few bytes, back bit for bit: the storage of Deep Compression.

Han, Mao and Dally, 2016, https://arxiv.org/abs/1510.00149: few distinct values are a codebook and an index for each
weight (section 3); of many zeros only the gaps between the other weights are stored, a gap that is too long being
bridged by zeros that are stored (section 2, figure 2); indices and gaps are Huffman coded (section 4).
Departures: each tensor is written whichever of three ways takes least, its own values, indices, or indices and gaps;
a gap has 8 bits in tensors of four dimensions and 5 in others, as in the paper, but for the coder's bound of 16 bits a
code (`storage/huffman.py`). What lies in the bytes, docs/run-format.md says.
"""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from convlens.errors import StorageError
from convlens.storage.huffman import code_lengths, decode, encode

MAGIC = b"convlens packed"
VERSION = 1
HEAD = len(MAGIC) + 1 + 32 + 4  # name, version, SHA-256 of all that follows, length of the description
MOST_VALUES = 4096  # distinct ones of a tensor with a codebook
GAP_BITS = {4: 8}  # dimensions of a tensor -> bits of a gap
OTHER_GAP_BITS = 5
# fmt: off
DTYPES = {name: np.dtype(name).newbyteorder("<") for name in (
    "float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool",
)}
# fmt: on


def pack(tensors: Mapping[str, np.ndarray]) -> bytes:
    """Named arrays -> the bytes of one file that `unpack` reads."""
    described, parts = [], []
    for name, array in tensors.items():
        if array.dtype.name not in DTYPES:
            raise StorageError(f"'{name}' is of {array.dtype.name}, which cannot be packed; pack {', '.join(DTYPES)}")
        streams, facts = _smallest(np.ascontiguousarray(array.astype(DTYPES[array.dtype.name], copy=False)))
        sizes = {"sizes": [len(stream) for stream in streams]}
        described.append({"name": name, "dtype": array.dtype.name, "shape": list(array.shape), **facts, **sizes})
        parts.extend(streams)
    description = zlib.compress(json.dumps(described, separators=(",", ":")).encode(), 9)
    rest = len(description).to_bytes(4, "little") + description + b"".join(parts)
    return MAGIC + bytes([VERSION]) + hashlib.sha256(rest).digest() + rest


def unpack(data: bytes) -> dict[str, np.ndarray]:
    """The arrays again, every bit as it was. StorageError for what `pack` did not write, or a newer one did."""
    if not data.startswith(MAGIC) or len(data) < HEAD:
        raise StorageError("it is no file of packed tensors")
    if (version := data[len(MAGIC)]) > VERSION:
        raise StorageError(f"its format is {version}, this convlens reads up to {VERSION}; update convlens")
    digest, rest = data[len(MAGIC) + 1 : HEAD - 4], data[HEAD - 4 :]
    if hashlib.sha256(rest).digest() != digest:
        raise StorageError("its SHA-256 differs from the one that it names")
    end = HEAD + int.from_bytes(rest[:4], "little")
    found, place = {}, end
    for facts in json.loads(zlib.decompress(data[HEAD:end])):
        streams = []
        for size in facts["sizes"]:
            streams.append(memoryview(data)[place : place + size])
            place += size
        found[facts["name"]] = _read(facts, streams)
    return found


Way = tuple[list[bytes], dict[str, Any]]  # streams, and what the description says of them


def _smallest(array: np.ndarray) -> Way:
    whole: Way = ([array.tobytes()], {"as": "values"})
    bits = array.reshape(-1).view(f"<u{array.itemsize}")  # so that -0.0 is another value than 0.0
    values, indices = np.unique(bits, return_inverse=True)
    if not 0 < len(values) <= MOST_VALUES:
        return whole
    ways = [whole, _with_codebook(values, indices)]
    if values[0] == 0:
        ways.append(_with_gaps(values, indices, array.ndim))
    return min(ways, key=lambda way: sum(map(len, way[0])))


def _with_codebook(values: np.ndarray, indices: np.ndarray) -> Way:
    return [values.tobytes(), *_coded(indices, len(values))], {"as": "indices"}


def _with_gaps(values: np.ndarray, indices: np.ndarray, dimensions: int) -> Way:
    """Of a codebook whose first value is zero."""
    gap_bits = GAP_BITS.get(dimensions, OTHER_GAP_BITS)
    longest = 2**gap_bits  # from one stored weight to the next, written less 1
    kept = np.flatnonzero(indices)
    steps = np.diff(kept, prepend=-1)
    bridges = (steps - 1) // longest  # zeros that are stored on the way to each
    ends = np.cumsum(bridges + 1)
    stored = np.zeros(int((bridges + 1).sum()), dtype=np.int64)
    gaps = np.full(len(stored), longest - 1)
    stored[ends - 1] = indices[kept]
    gaps[ends - 1] = steps - bridges * longest - 1
    streams = [values.tobytes(), *_coded(stored, len(values)), *_coded(gaps, longest)]
    return streams, {"as": "gaps", "gap_bits": gap_bits, "stored": len(stored)}


def _coded(symbols: np.ndarray, num_symbols: int) -> list[bytes]:
    """The lengths of their codes, and the codes."""
    lengths = code_lengths(np.bincount(symbols, minlength=num_symbols))
    return [lengths.tobytes(), encode(symbols, lengths)]


def _read(facts: dict[str, Any], streams: list[memoryview]) -> np.ndarray:
    dtype, shape = DTYPES[facts["dtype"]], facts["shape"]
    values = np.frombuffer(streams[0], dtype=dtype)
    if facts["as"] == "values":
        return values.reshape(shape).astype(dtype.newbyteorder("="))  # a copy, which can be written to
    count = math.prod(shape)
    if facts["as"] == "indices":
        indices = _symbols(streams[1:3], count)
    else:
        stored, gaps = _symbols(streams[1:3], facts["stored"]), _symbols(streams[3:5], facts["stored"])
        indices = np.zeros(count, dtype=np.int64)
        indices[np.cumsum(gaps.astype(np.int64) + 1) - 1] = stored
    return values[indices].reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _symbols(streams: list[memoryview], count: int) -> np.ndarray:
    return decode(streams[1], count, np.frombuffer(streams[0], dtype=np.uint8))
