"""The printed program answers as `convlens predict` does, where there is neither convlens nor torch."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

from convlens import zoo
from convlens.exporting import standalone
from convlens.pictures import Preprocess, decode
from convlens.runs import Manifest, RunFolder, save_run
from convlens.workbench import export, predict

BLOCKED = """
import runpy, sys
for name in ("torch", "convlens"):
    sys.modules[name] = None
programs, pictures = sys.argv[1].split(","), sys.argv[2:]
for program in programs:
    print("#", program)
    sys.argv = [program, *pictures]
    runpy.run_path(program, run_name="__main__")
"""
MEAN, STD = (0.3, 0.45, 0.6), (0.2, 0.25, 0.3)
FITS = {"crop": 0.875, "letterbox": 1.0, "resize": 1.0}

SOME = [("crop", 1, "onnx", "outside"), ("letterbox", 3, "openvino", "inside"), ("resize", 3, "onnx", "inside")]
OTHERS = [("crop", 3, "onnx", "inside"), ("letterbox", 1, "onnx", "outside"), ("resize", 1, "openvino", "outside")]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two photographs in all that a folder may hold: large, turned, translucent, of 16 bits, with a palette, narrow,
    and with one grey or colour that means nothing, of every depth of PNG.
    """
    folder = tmp_path_factory.mktemp("photographs")
    china, flower = (Image.fromarray(array) for array in load_sample_images().images)
    china.save(folder / "large.jpg", quality=92)
    turned = Image.Exif()
    turned[0x0112] = 6
    flower.resize((240, 160)).save(folder / "turned.jpg", exif=turned)
    fading = china.resize((90, 60)).convert("RGBA")
    fading.putalpha(Image.linear_gradient("L").resize((90, 60)))
    fading.save(folder / "fading.png")
    fading.convert("LA").save(folder / "fading-grey.png")
    deep = np.asarray(flower.convert("L").resize((70, 50))).astype(np.uint16) * 251 + 13
    Image.fromarray(deep).save(folder / "deep.png")
    china.resize((120, 80)).quantize(16).save(folder / "palette.gif")
    flower.convert("L").resize((33, 40)).save(folder / "grey.png")
    flower.crop((0, 0, 400, 45)).save(folder / "narrow.png")
    few = np.asarray(china.resize((40, 30))).astype(int) // 64  # 0 to 3 in each channel
    for bits in (1, 2, 4, 8, 16):
        values = few * (2**bits // 4) + 77 * (bits == 16) if bits > 1 else few != few[15, 20]
        (folder / f"part-{bits}.png").write_bytes(partly(values[..., 1], bits))
        if bits >= 8:
            (folder / f"part-{bits}-colour.png").write_bytes(partly(values, bits))
    deep = (257 * np.asarray(china.resize((40, 30)).convert("L")).astype(">u2")).tobytes()
    (folder / "deep.pgm").write_bytes(b"P5 40 30 65535\n" + deep)
    return [str(file) for file in sorted(folder.iterdir())]


def partly(values: np.ndarray, bits: int) -> bytes:
    """A PNG of whole numbers (H, W) or (H, W, 3), of which the one in the middle, grey or colour, means nothing."""
    height, width = values.shape[:2]
    binary = (values.reshape(height, -1, 1) >> np.arange(bits)[::-1]) & 1
    rows = np.packbits(binary.reshape(height, -1).astype(np.uint8), axis=1)
    kind = 0 if values.ndim == 2 else 2
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0),
        b"tRNS": np.array([values[height // 2, width // 2]], ">u2").tobytes(),
        b"IDAT": zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows)),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks.items()
    )


def a_run(folder: Path, fit: str, channels: int) -> Path:
    """LeNet-5 with fresh weights, made sure of itself by its temperature, for pictures of 28 x 36 px."""
    torch.manual_seed(0)
    network = zoo.create("lenet5", num_classes=4, in_channels=channels, image_size=(28, 36))
    preprocess = Preprocess((28, 36), fit, channels, MEAN[:channels], STD[:channels], crop_ratio=FITS[fit])
    manifest = Manifest(
        name=folder.name,
        architecture=network.architecture.to_dict(),
        classes=("a", "b", "c", "d"),
        preprocess=preprocess.to_dict(),
        weights={"from": "random"},
        created="2026-01-01T00:00:00+00:00",
        temperature=1.5,
    )
    return save_run(RunFolder(folder), manifest, network.state_dict()).path


def answers(text: str) -> list[list[tuple[str, str, float]]]:
    """For each program (picture, class, probability)."""
    blocks = [block.splitlines()[1:] for block in text.split("# ")[1:]]
    rows = [[line.split("\t") for line in block] for block in blocks]
    return [[(name, label, float(probability)) for name, label, probability in block] for block in rows]


def check(found: list[tuple[str, str, float]], run: Path, photographs: list[str]) -> None:
    expected = predict(run, photographs).predictions
    assert len({(one.label, round(one.probability, 3)) for one in expected}) > 4
    assert [name for name, _, _ in found] == [one.picture for one in expected]
    for (name, label, probability), one in zip(found, expected, strict=True):
        assert (label, probability) == (one.label, pytest.approx(one.probability, abs=1e-4)), name


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [(28, 36), (40, 40), (7, 90)])
def test_it_prepares_the_very_pixels_that_a_run_sees(size, fit, channels, photographs):
    preprocess = Preprocess(size, fit, channels, MEAN[:channels], STD[:channels], crop_ratio=FITS[fit])
    for file in photographs:
        expected = preprocess.pixels(decode(file, short_side=preprocess.decode_side))
        found = standalone.pixels(file, **preprocess.to_dict())
        np.testing.assert_array_equal(found.transpose(2, 0, 1), expected, err_msg=file)


def test_the_grey_or_colour_that_means_nothing_is_white_at_every_depth(photographs):
    parts = [file for file in photographs if "part-" in file]
    assert len(parts) == 7
    for file in parts:
        seen = np.asarray(standalone.upright(file, 1000, 3))
        assert (seen[len(seen) // 2, seen.shape[1] // 2] == 255).all(), file
        shown = (seen < 255).any(axis=2).mean()
        assert shown == 0 if "part-1.png" in file else 0.02 < shown < 0.99, file  # black is nothing there, and white


@pytest.mark.parametrize("cases", [SOME, pytest.param(OTHERS, marks=pytest.mark.slow)], ids=["some", "others"])
def test_it_answers_as_predict_does_for_every_fit_in_grey_and_in_colour(cases, tmp_path, photographs):
    programs, runs = [], []
    for place, (fit, channels, name, preprocess) in enumerate(cases):
        run = a_run(tmp_path / f"run-{place}", fit, channels)
        programs.append(tmp_path / f"program-{place}.py")
        made = export(run, photographs, format=name, preprocess=preprocess)
        programs[-1].write_text(made.snippet, encoding="utf-8")
        runs.append(run)
    call = [sys.executable, "-c", BLOCKED, ",".join(map(str, programs)), *photographs]
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for found, run in zip(answers(done.stdout), runs, strict=True):
        check(found, run, photographs)


@pytest.mark.slow
def test_it_runs_in_an_environment_of_onnxruntime_pillow_and_numpy_alone(tmp_path, photographs):
    python = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    pip = [python, "-m", "pip", "install", "--quiet", "onnxruntime", "pillow", "numpy"]
    installed = subprocess.run(pip, capture_output=True, text=True)
    if installed.returncode:
        pytest.skip(f"pip cannot install: {installed.stderr.splitlines()[-1:]}")
    run = a_run(tmp_path / "run", "crop", 3)
    program = tmp_path / "classify.py"
    program.write_text(export(run, photographs).snippet, encoding="utf-8")
    missing = subprocess.run([python, "-I", "-c", "import torch"], capture_output=True)
    assert missing.returncode == 1
    done = subprocess.run([python, "-I", program, *photographs], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    check(answers(f"# it\n{done.stdout}")[0], run, photographs)


def test_what_needs_torch_has_no_such_program(trained_run, tmp_path):
    assert export(trained_run, format="torch-export", out=tmp_path).snippet is None
