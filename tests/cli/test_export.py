"""`convlens export`: the proof as a table, then the program that runs the file."""

from __future__ import annotations


def test_the_table_tells_the_proof_and_the_program_follows(convlens, copied_run, pictures):
    outcome = convlens("export", copied_run, pictures, "--preprocess", "inside")
    assert outcome.status == 0
    said = " ".join(outcome.stdout.split())
    file = copied_run / "exports" / "model-pixels.onnx"
    assert f"{file} │ {file.stat().st_size:,} bytes" in said
    assert "proved on │ 2 pictures, the pictures given; batches of 1, 2, 5" in said
    assert "the same class │ 100.00 % (bound 100.00 %)" in said
    assert "of a probability (bound 0.0001)" in said
    program = outcome.stdout.partition("without convlens and torch:\n\n")[2]
    compile(program, "classify.py", "exec")
    assert f'MODEL = "{file}"' in program
    assert outcome.stderr == ""


def test_a_picture_that_cannot_be_read_is_named_and_the_rest_prove_it(convlens, copied_run, pictures):
    (pictures / "bad.png").write_bytes(b"")
    outcome = convlens("export", copied_run, pictures, "--format", "safetensors")
    assert outcome.status == 0
    assert f"not read: {pictures / 'bad.png'}: zero bytes" in outcome.stderr
