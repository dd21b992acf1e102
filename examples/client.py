"""A client of `convlens serve` in the standard library alone: a picture by itself, several at once, and an error.

    python examples/client.py                                     about 5 s on two cores: serves digits to itself
    python examples/client.py http://127.0.0.1:8000/ a.png b.jpg  asks a server that runs about your pictures
Only the first of these needs convlens in the same Python.
"""

from __future__ import annotations

import base64
import json
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import HTTPError
from urllib.request import Request, urlopen


def call(url: str, body: bytes | dict | None = None, media: str = "application/json") -> dict:
    """JSON of GET, or of POST where there is a body; what the server refused is raised with its words."""
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    try:
        return json.load(urlopen(Request(url, data, {"Content-Type": media})))
    except HTTPError as refused:
        error = json.load(refused)["error"]
        raise RuntimeError(f"{error['status']}: {error['what']}; {error['remedy']}") from refused


def classify(server: str, pictures: list[bytes]) -> list[dict]:
    """All in one call."""
    listed = [{"base64": base64.b64encode(picture).decode()} for picture in pictures]
    return call(f"{server}v1/predict", {"pictures": listed, "top": 3})["predictions"]


def main() -> None:
    import convlens.server

    with TemporaryDirectory() as folder:
        run = convlens.train("digits", model="lenet5", epochs=5, out=Path(folder) / "digits").run
        convlens.evaluate(run)  # keeps thumbnails, whose classes it knows
        with convlens.server.running_server(run) as served:
            samples = call(f"{served.url}v1/run")["samples"]
            pictures = [urlopen(served.url[:-1] + sample["url"]).read() for sample in samples]
            alone, *_ = call(f"{served.url}v1/predict", pictures[0], "image/jpeg")["predictions"]
            together = classify(served.url, pictures)
            right = sum(one["label"] == sample["label"] for one, sample in zip(together, samples, strict=True))
            print(f"{right} of {len(samples)} recognised, the first as {alone['label']}, {alone['probability']:.1%}")
            assert together[0]["label"] == alone["label"] and right >= 0.75 * len(samples)
            with suppress(RuntimeError):  # 422: the picture cannot be read: …
                assert not call(f"{served.url}v1/predict", b"no picture", "image/jpeg")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        for one in classify(sys.argv[1], [Path(path).read_bytes() for path in sys.argv[2:]]):
            print(f"{one['label']} {one['probability']:.1%}")
    else:
        main()
