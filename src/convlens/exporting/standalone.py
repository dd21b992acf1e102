"""Classify pictures with an exported file: python classify.py PICTURE…; needs onnxruntime, numpy and pillow."""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

MODEL = "model.onnx"


def open_model(path: str) -> tuple:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: session.run(None, {name: batch})[0], session.get_modelmeta().custom_metadata_map


def upright(path: str, side: int, channels: int) -> Image.Image:
    """Grey or RGB, turned by its EXIF, on white; a large JPEG is decoded down to twice what is needed."""
    with Image.open(path) as file:
        if (times := min(file.size) // side) >= 2:
            file.draft(None, (file.width // times, file.height // times))
        image, bits = ImageOps.exif_transpose(file), Path(path).read_bytes()[24] if file.format == "PNG" else 8
        deep = image.mode.startswith("I;16") or (image.mode == "I" and file.format == "PPM")
    nothing = transparent(image, bits)
    if deep:
        image = Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        image, above = Image.new("RGB", image.size, "white"), image.convert("RGBA")
        image.paste(above, mask=above)
    image = image.convert("RGB")
    if nothing is not None:
        image.paste("white", mask=nothing)
    return image.convert("L" if channels == 1 else "RGB")


def transparent(image: Image.Image, bits: int) -> Image.Image | None:
    """Where a picture without an alpha channel has the one grey or colour that a PNG may say means nothing."""
    if image.mode not in ("1", "L", "I;16", "RGB") or "transparency" not in image.info:
        return None
    value = np.array(image.info.pop("transparency"))
    if bits in (2, 4):  # which Pillow stretches to 8, and of colours of 16 bits it keeps the upper half
        value = value * 255 // (2**bits - 1)
    elif image.mode == "RGB":
        value = value >> 8 if bits == 16 else value & 255
    same = np.asarray(image.convert("L") if image.mode == "1" else image) == value
    return Image.fromarray(same if same.ndim == 2 else same.all(axis=2))


def pixels(path: str, size: list, fit: str, channels: int, mean: list, std: list, crop_ratio: float) -> np.ndarray:
    """A file -> uint8 (height, width, channels), as the network was trained to see it."""
    image = upright(path, round(2 * max(size) / crop_ratio), channels)
    room, picture = np.array(size), np.array([image.height, image.width])
    target, start, first, last = room, 0 * room, 0 * picture, picture
    if fit == "crop":
        covered = np.rint(room / crop_ratio)
        whole = np.maximum(covered, np.rint(picture * (covered / picture).max()))
        first = (whole - room) // 2 * picture / whole
        last = np.minimum(first + room * picture / whole, picture)
    elif fit == "letterbox":
        target = np.minimum(room, np.maximum(1, np.rint(picture * (room / picture).min()))).astype(int)
        start = (room - target) // 2
    seen = image.resize((target[1], target[0]), Image.Resampling.BILINEAR, box=(first[1], first[0], last[1], last[0]))
    ground = np.empty((*size, channels), np.uint8)
    ground[:] = np.rint(np.array(mean) * 255).clip(0, 255)
    (top, left), (bottom, right) = start, start + target
    ground[top:bottom, left:right] = np.asarray(seen).reshape(*target, channels)
    return ground


def classify(paths: list) -> None:
    run, facts = open_model(MODEL)
    classes, preprocess = json.loads(facts["classes"]), json.loads(facts["preprocess"])
    for path in paths:
        batch = pixels(path, **preprocess)[None]
        if facts["input"] == "images":
            batch = (batch / 255 - preprocess["mean"]) / preprocess["std"]
            batch = np.ascontiguousarray(batch.transpose(0, 3, 1, 2), np.float32)
        answer = run(batch)[0].astype(np.float64)
        if facts["output"] == "logits":
            answer = np.exp((answer - answer.max()) / float(facts["temperature"]))
            answer /= answer.sum()
        print(path, classes[answer.argmax()], f"{answer.max():.6f}", sep="\t")


if __name__ == "__main__":
    classify(sys.argv[1:])
