"""Batches and resident pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from convlens.data import Augment, Batches, batch_seed, decode_pixels, mean_and_std, open_images, permutation, uniform
from convlens.data import batches as files
from convlens.data import pixels as pixels_file
from convlens.data.augment import boxes
from convlens.data.draws import Draws
from convlens.data.images import ArrayReader
from convlens.data.mixing import draw_mixture
from convlens.data.threads import run_together
from convlens.errors import UsageError
from convlens.pictures import Preprocess

PREPROCESS = Preprocess((8, 8), "crop", 1, (0.5,), (0.25,))


def batches(count=50, batch=16, ask=None):
    pixels = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(count, 1, 8, 8).contiguous()
    return Batches(pixels, torch.arange(count), PREPROCESS, ask or Augment(), batch=batch, seed=3)


def test_an_epoch_shows_every_picture_at_most_once_with_its_own_label():
    source = batches()
    seen = []
    for step in range(source.steps_per_epoch):
        images, labels = source(step)
        assert torch.allclose((images[:, 0, 0, 0] * 0.25 + 0.5) * 255, labels.float(), atol=1e-3)
        seen += labels.tolist()
    assert len(seen) == len(set(seen)) == 48


def test_a_step_gives_the_same_batch_whenever_it_is_asked():
    source = batches(ask=Augment(shift=1, flip=True))
    later = source(7)
    for step in range(7):
        source(step)
    again = source(7)
    assert torch.equal(later[0], again[0]) and torch.equal(later[1], again[1])


def test_a_batch_is_never_larger_than_the_source():
    source = batches(count=5, batch=64)
    assert source.steps_per_epoch == 1 and len(source(0)[1]) == 5


# fmt: off
PLAIN = [
    {},
    {"flip": True},
    {"shift": 1},
    {"shift": 4},
    {"flip": True, "shift": 2},
    {"flip": True, "shift": 3, "border": "reflect"},
    {"brightness": 0.4},
    {"contrast": 0.4},
    {"cutout": 3},
    {"flip": True, "shift": 2, "brightness": 0.9, "contrast": 0.9, "cutout": 4},
]
# fmt: on
MODES = {"edge": "replicate", "reflect": "reflect"}


def slowly(source, step):
    """What `source(step)` is, one picture and one draw after the other."""
    epoch, place = divmod(step, source.steps_per_epoch)
    chosen = permutation(source.seed, epoch, len(source.labels))[place * source.batch :][: source.batch]
    seen = [slow_picture(source.pixels[i], source.augment, source.preprocess, (source.seed, epoch, i)) for i in chosen]
    return torch.stack(seen), source.labels[torch.from_numpy(chosen)]


def slow_picture(picture, ask, preprocess, key):
    seed, epoch, index = key

    def draw(name):
        return uniform(seed, epoch, name, np.array([index]))[0]

    (height, width), reach = preprocess.size, ask.shift
    top, left = (picture.shape[1] - height) // 2, (picture.shape[2] - width) // 2
    picture = picture[:, top : top + height, left : left + width].float()
    if ask.flip and draw("flip") < 0.5:
        picture = picture.flip(2)
    if reach:
        row, column = (int(draw(f"shift {name}") * (2 * reach + 1)) for name in ("rows", "columns"))
        padded = torch.nn.functional.pad(picture[None], (reach,) * 4, mode=MODES[ask.border])[0]
        picture = padded[:, row : row + height, column : column + width]
    if ask.contrast:
        picture = picture.mean() + (picture - picture.mean()) * float(1 + ask.contrast * (draw("contrast") * 2 - 1))
    if ask.brightness:
        picture = picture * float(1 + ask.brightness * (draw("brightness") * 2 - 1))
    picture = picture.clamp(0, 255).contiguous()
    if ask.cutout:
        top, left = (draw(f"cutout {n}") * s - ask.cutout / 2 for n, s in (("top", height), ("left", width)))
        mean = picture.mean(dim=(1, 2))
        for y in range(height):
            for x in range(width):
                if top <= y < top + ask.cutout and left <= x < left + ask.cutout:
                    picture[:, y, x] = mean
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (preprocess.mean, preprocess.std))
    return picture * (1 / (255 * std)) - mean / std


@pytest.mark.parametrize("ask", PLAIN, ids=lambda ask: " ".join(ask) or "nothing")
@pytest.mark.parametrize(("channels", "kept"), [(1, (9, 7)), (3, (9, 7)), (3, (13, 12))])
def test_a_batch_has_the_bits_of_a_slow_loop(ask, channels, kept):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (40, channels, *kept), dtype=torch.uint8, generator=generator)
    preprocess = Preprocess((9, 7), "crop", channels, (0.4, 0.5, 0.6)[:channels], (0.2, 0.3, 0.25)[:channels])
    source = Batches(pixels, torch.arange(40) % 3, preprocess, Augment(**ask), batch=12, seed=5)
    for step in (0, 2, 3, 100):
        (images, labels), (wanted, wanted_labels) = source(step), slowly(source, step)
        assert torch.equal(images, wanted) and torch.equal(labels, wanted_labels)
        assert images.is_contiguous() and labels.dtype == torch.int64


@pytest.mark.parametrize(
    "ask", [{"zoom": 0.4}, {"zoom": 0.4, "flip": True}, {"zoom": 0.7, "flip": True, "alternate": True}]
)
@pytest.mark.parametrize(("channels", "side_by_side"), [(1, False), (3, False), (3, True)])
def test_a_batch_of_crops_has_the_bits_of_a_slow_loop(ask, channels, side_by_side):
    pixels = torch.randint(
        0, 256, (40, channels, 13, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    if side_by_side:
        pixels = pixels.contiguous(memory_format=torch.channels_last)
    preprocess = Preprocess((9, 7), "crop", channels, (0.4, 0.5, 0.6)[:channels], (0.2, 0.3, 0.25)[:channels])
    source = Batches(pixels, torch.arange(40) % 3, preprocess, Augment(**ask), batch=12, seed=5)
    for step in (0, 2, 3, 100):
        epoch, place = divmod(step, 3)
        chosen, seen = permutation(5, epoch, 40)[12 * place : 12 * place + 12], source(step)[0]
        own = Draws(5, epoch, chosen)
        turned = (own.of_epoch(0 if source.augment.alternate else epoch)("flip") < 0.5).numpy()
        turned = turned ^ bool(source.augment.alternate and epoch % 2)
        for number, (top, left, height, width) in enumerate(boxes(source.augment.zoom, own, (13, 12)).tolist()):
            part = pixels[chosen[number], :, top : top + height, left : left + width][None]
            wanted = torch.nn.functional.interpolate(part, (9, 7), mode="bilinear", antialias=True)
            wanted = wanted.flip(3) if source.augment.flip and turned[number] else wanted
            assert torch.equal(seen[number], preprocess.normalise(wanted)[0])
        assert seen.is_contiguous(memory_format=torch.channels_last if side_by_side else torch.contiguous_format)


@pytest.mark.parametrize("asked", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}])
def test_a_mixed_batch_is_the_plain_one_mixed_by_a_draw_of_the_step(asked):
    plain, source = batches(ask=Augment(shift=1)), batches(ask=Augment(shift=1, **asked))
    for step in (0, 1, 7):
        images, labels = plain(step)
        seen, soft = source(step)
        mixture = draw_mixture(
            asked.get("mixup", 0), asked.get("cutmix", 0), seed=batch_seed(3, step), shape=images.shape
        )
        share = mixture.share
        torch.testing.assert_close(soft.sum(dim=1), torch.ones(16))
        wanted = share * torch.nn.functional.one_hot(labels, 50) + (1 - share) * torch.nn.functional.one_hot(
            labels[mixture.partners], 50
        )
        torch.testing.assert_close(soft, wanted)
        means = share * images + (1 - share) * images[mixture.partners]
        torch.testing.assert_close(seen.mean(dim=(1, 2, 3)), means.mean(dim=(1, 2, 3)), atol=1e-5, rtol=1e-5)
    assert len({tuple(source(step)[1][0].tolist()) for step in range(6)}) == 6


def test_soft_labels_have_a_column_for_every_class_of_the_task():
    pixels = torch.zeros(10, 1, 8, 8, dtype=torch.uint8)
    source = Batches(
        pixels, torch.zeros(10, dtype=torch.int64), PREPROCESS, Augment(mixup=1), batch=5, seed=0, num_classes=7
    )
    assert source(0)[1].shape == (5, 7)


def test_lighting_takes_its_colours_from_the_pictures_of_the_set():
    generator = torch.Generator().manual_seed(0)
    reds = torch.zeros(40, 3, 8, 8, dtype=torch.uint8)
    reds[:, 0] = torch.randint(60, 200, (40, 8, 8), dtype=torch.uint8, generator=generator)
    reds[:, 1:] = 100
    preprocess = Preprocess((8, 8), "crop", 3, (0, 0, 0), (1 / 255, 1 / 255, 1 / 255))
    seen = Batches(reds, torch.arange(40), preprocess, Augment(lighting=0.5), batch=40, seed=0)(0)[0]
    assert torch.allclose(seen[:, 1:], torch.tensor(100.0), atol=1e-3)
    plain = Batches(reds, torch.arange(40), preprocess, Augment(), batch=40, seed=0)(0)[0]
    assert (seen[:, 0] - plain[:, 0]).abs().max() > 1


def test_what_the_pictures_cannot_have_is_refused_before_the_first_batch():
    with pytest.raises(UsageError, match="these pictures are grey"):
        batches(ask=Augment(hue=0.1))


def test_decoded_pixels_are_in_the_order_asked():
    images = open_images("digits")
    chosen = [5, 0, 900]
    pixels = decode_pixels(images, chosen, PREPROCESS)
    for row, index in zip(pixels, chosen, strict=True):
        assert np.array_equal(row[0].numpy(), images.reader.read(index))


@pytest.mark.parametrize(
    "ask", [{}, {"zoom": 0.5, "flip": True}, {"zoom": 0.5, "contrast": 0.4, "hue": 0.1, "cutout": 3}]
)
def test_a_batch_is_the_same_however_the_channels_lie(ask):
    pixels = torch.randint(0, 256, (20, 3, 12, 11), dtype=torch.uint8)
    preprocess = Preprocess((9, 8), "crop", 3, (0.4, 0.5, 0.6), (0.2, 0.3, 0.25))
    apart, together = (
        Batches(kept, torch.arange(20), preprocess, Augment(**ask), batch=8, seed=5)(1)[0]
        for kept in (pixels, pixels.contiguous(memory_format=torch.channels_last))
    )
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=1e-5)
    assert torch.equal(together, apart) or "contrast" in ask
    assert apart.is_contiguous() and together.is_contiguous(memory_format=torch.channels_last)


def test_arrays_of_the_right_size_are_taken_as_they_are():
    images = open_images("digits")
    slow = np.stack([PREPROCESS.pixels(images.reader.read(i)) for i in (3, 1700, 4)])
    assert np.array_equal(decode_pixels(images, [3, 1700, 4], PREPROCESS).numpy(), slow)


def test_several_parts_are_stacked_in_the_order_asked():
    parts = {
        "train": np.arange(12, dtype=np.uint8).reshape(3, 2, 2),
        "test": 50 + np.arange(8, dtype=np.uint8).reshape(2, 2, 2),
    }
    reader = ArrayReader(parts)
    chosen = [4, 0, 3, 2]
    assert np.array_equal(reader.stacked(chosen), np.stack([reader.read(i) for i in chosen]))


def test_pixels_beyond_the_memory_go_to_a_map_that_leaves_no_file(monkeypatch, tmp_path):
    monkeypatch.setenv("CONVLENS_CACHE", str(tmp_path))
    images = open_images("digits")
    resident = decode_pixels(images, range(40), PREPROCESS)
    monkeypatch.setattr(pixels_file, "memory_bytes", lambda: 4 * 40 * 64 - 4)
    mapped = decode_pixels(images, range(40), PREPROCESS)
    assert torch.equal(resident, mapped)
    assert list((tmp_path / "pixels").iterdir()) == []


def test_mean_and_deviation_are_those_of_the_pixels():
    pixels = torch.randint(0, 256, (30, 3, 9, 9), dtype=torch.uint8)
    mean, std = mean_and_std(pixels)
    values = pixels.double() / 255
    assert mean == pytest.approx(values.mean(dim=(0, 2, 3)).tolist(), abs=1e-4)
    assert std == pytest.approx(values.std(dim=(0, 2, 3), correction=0).tolist(), abs=1e-4)


def test_a_constant_channel_has_a_deviation_above_zero():
    assert mean_and_std(torch.zeros(3, 1, 4, 4, dtype=torch.uint8))[1][0] > 0


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["planes", "side by side"])
def test_batches_made_in_pieces_have_the_same_bits(
    layout: torch.memory_format, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = torch.randint(0, 256, (40, 3, 160, 150), dtype=torch.uint8).contiguous(memory_format=layout)
    ask = Augment(flip=True, zoom=0.4, brightness=0.2, contrast=0.3, saturation=0.2, lighting=0.1, cutout=20)
    given = (pixels, torch.arange(40) % 3, Preprocess((150, 140), mean=(0.4, 0.5, 0.6)), ask)
    assert files.WORTH_THREADS < 17 * 3 * 150 * 140
    calls: list[int] = []
    monkeypatch.setattr(files, "run_together", lambda works: (calls.append(len(works)), run_together(works)))
    monkeypatch.setattr(files, "usable_cpus", lambda: 3)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        with torch.inference_mode():
            in_pieces = [Batches(*given, batch=17, seed=0)(step)[0].clone() for step in range(4)]
    finally:
        torch.set_num_threads(before)
    assert calls == [3] * 4
    monkeypatch.setattr(files, "WORTH_THREADS", 1 << 40)
    whole = [Batches(*given, batch=17, seed=0)(step)[0] for step in range(4)]
    assert calls == [3] * 4
    assert all(torch.equal(one, other) for one, other in zip(in_pieces, whole, strict=True))


@pytest.mark.parametrize(("number", "pieces"), [(2, None), (5, None), (7, 2), (9, 3), (40, 3)])
def test_a_piece_has_three_pictures_at_least(number, pieces, monkeypatch):
    pixels = torch.randint(0, 256, (number, 1, 40, 40), dtype=torch.uint8)
    ask = Augment(zoom=0.4, brightness=0.2, contrast=0.3)
    given = (pixels, torch.arange(number), Preprocess((40, 40), channels=1, mean=(0.5,), std=(0.5,)), ask)
    whole = Batches(*given, batch=number, seed=0)(0)[0]
    calls: list[int] = []
    monkeypatch.setattr(files, "run_together", lambda works: calls.append(len(works)) or [work() for work in works])
    monkeypatch.setattr(files, "usable_cpus", lambda: 3)
    monkeypatch.setattr(files, "WORTH_THREADS", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert torch.equal(Batches(*given, batch=number, seed=0)(0)[0], whole)
    assert calls == ([] if pieces is None else [pieces])
