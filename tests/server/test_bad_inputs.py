"""Every broken and odd picture of the collection: an answer where it can be read, a clear refusal where it cannot."""

from __future__ import annotations

import csv


def test_broken_pictures_are_refused_and_odd_ones_answered(client, shared_data):
    folder = shared_data / "bad-inputs"
    with (folder / "MANIFEST.csv").open(newline="") as listed:
        rows = list(csv.DictReader(listed))
    assert len(rows) > 150
    for row in rows:
        data = (folder / row["path"]).read_bytes()
        answer = client.post("/v1/predict", content=data, headers={"Content-Type": "image/png"})
        if row["result"] == "ok":
            assert answer.status_code == 200, row
            (found,) = answer.json()["predictions"]
            turned = row["exif_orientation"] in ("5", "6", "7", "8")
            size = (found["height"], found["width"]) if turned else (found["width"], found["height"])
            assert row["size"] in (f"{size[0]}x{size[1]}", f"{size[1]}x{size[0]}" if turned else ""), row
        else:
            assert answer.status_code == 422, row
            assert "cannot be read" in answer.json()["error"]["what"] and answer.json()["error"]["remedy"], row
