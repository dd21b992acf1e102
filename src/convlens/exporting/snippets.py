"""The program that runs an exported file without convlens and without torch: `standalone.py`, with the file's name.

It decodes and prepares pictures as a run does: EXIF, transparency on white, 16-bit greys of PNG, the three fits. A test
holds its answers beside `convlens predict`. What is rarer (CMYK profiles, floats, 12-bit TIFF) is Pillow's own way.
"""

from __future__ import annotations

import json
from pathlib import Path

PROGRAM = Path(__file__).with_name("standalone.py")
BY_ONNX_RUNTIME = ("onnx", "onnx-int8")
# fmt: off
BY_OPENVINO = (  # what differs
    ("needs onnxruntime,", "needs openvino,"),
    ("import onnxruntime\n", "import openvino\n"),
    ("""\
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: session.run(None, {name: batch})[0], session.get_modelmeta().custom_metadata_map
""", """\
    model = openvino.Core().read_model(path)
    facts = {key: model.get_rt_info(["framework", key]).astype(str)
             for key in ("classes", "preprocess", "temperature", "input", "output")}
    compiled = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda batch: compiled(batch)[0], facts
"""),
)
# fmt: on


def snippet(format: str, file: Path) -> str | None:
    """The text of the program for a file of this format; None where the format needs torch."""
    text = PROGRAM.read_text(encoding="utf-8").replace(
        'MODEL = "model.onnx"', f"MODEL = {json.dumps(str(file), ensure_ascii=False)}"
    )
    if format in BY_ONNX_RUNTIME:
        return text
    if format != "openvino":
        return None
    for ours, theirs in BY_OPENVINO:
        assert ours in text
        text = text.replace(ours, theirs)
    return text
