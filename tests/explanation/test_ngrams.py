"""The words that each filter of a text network answers to most."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convlens import zoo
from convlens.errors import NetworkError, UsageError
from convlens.explanation import ngrams_picture, strongest_ngrams
from convlens.explanation.ngrams import _drawn

SENTENCES = torch.randint(1, 50, (6, 9), generator=torch.Generator().manual_seed(0))


def network() -> zoo.TextCNN:
    torch.manual_seed(0)
    return zoo.TextCNN(50, widths=(2, 3), maps=4, embedding=8)


def test_every_filter_has_the_window_where_weights_times_words_are_largest() -> None:
    text = network().train()
    found = strongest_ngrams(text, SENTENCES)
    assert len(found) == 8 and [one.response for one in found] == sorted((one.response for one in found), reverse=True)
    for one in found:
        filters, bias = text.get_submodule(one.layer).parameters()
        vectors = text.stem.words.weight[SENTENCES]
        responses = {
            (sentence, start): (vectors[sentence, start : start + one.width].T * filters[one.unit]).sum()
            + bias[one.unit]
            for sentence in range(6)
            for start in range(9 - one.width + 1)
        }
        best = max(responses, key=lambda place: responses[place].item())
        assert (one.sentence, one.start) == best and one.response == pytest.approx(responses[best].item(), abs=1e-6)
    assert text.training and not any(module._forward_hooks for module in text.modules())


def test_a_filter_that_was_made_for_some_words_answers_to_them() -> None:
    text = network()
    convolution = text.get_submodule("stages.branches.1.conv")
    with torch.no_grad():
        convolution.get_parameter("weight")[2] = 100 * text.stem.words.weight[SENTENCES[4, 5:8]].T
    first = strongest_ngrams(text, SENTENCES)[0]
    assert (first.layer, first.unit) == ("stages.branches.1.conv", 2)
    assert (first.sentence, first.start, first.width) == (4, 5, 3)


def test_the_picture_grows_with_its_rows() -> None:
    found = strongest_ngrams(network(), SENTENCES)
    texts = [[str(word) for word in sentence] for sentence in SENTENCES.tolist()]
    few, many = (ngrams_picture(found, texts, most=most, title="words") for most in (2, 8))
    assert few.width == many.width and few.height < many.height


def test_the_picture_says_which_colour_is_which_width() -> None:
    found = strongest_ngrams(network(), SENTENCES)
    texts = [[str(word) for word in sentence] for sentence in SENTENCES.tolist()]
    (axes,) = _drawn(found, texts, None).axes
    legend = axes.get_legend()
    colours = dict(zip([text.get_text() for text in legend.get_texts()], legend.legend_handles, strict=True))
    assert list(colours) == ["2 words", "3 words"]
    bars = {bar.get_y() + bar.get_height() / 2: bar for bar in axes.patches}
    for row, one in enumerate(found):
        assert bars[row].get_width() == pytest.approx(one.response)
        assert bars[row].get_facecolor() == colours[f"{one.width} words"].get_facecolor()


def test_what_reads_no_words_one_by_one_is_refused() -> None:
    for convolution in (nn.Conv1d(8, 4, 3, padding=1), nn.Conv1d(8, 4, 3, stride=2), nn.Conv1d(8, 4, 3, dilation=2)):
        text = nn.Sequential(nn.Embedding(50, 8), Turned(), convolution)
        with pytest.raises(NetworkError, match="no Conv1d of stride 1 reads one vector a word"):
            strongest_ngrams(text, SENTENCES)
    for sentences in (SENTENCES.float(), SENTENCES[0], SENTENCES[:0]):
        with pytest.raises(UsageError, match=r"expected \(N, T\) whole numbers"):
            strongest_ngrams(network(), sentences)


class Turned(nn.Module):
    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        return vectors.transpose(1, 2)
