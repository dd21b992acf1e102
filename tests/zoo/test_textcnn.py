"""TextCNN against the paper's arithmetic; tracing and measuring take sentences as they take pictures."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import convlens.zoo as zoo
from convlens.errors import DataError, UsageError
from convlens.graph import trace
from convlens.measurement import measure_network


def sentences(length: int = 9, num_words: int = 50) -> torch.Tensor:
    return torch.randint(1, num_words, (4, length), generator=torch.Generator().manual_seed(0))


def small(**options: Any) -> zoo.TextCNN:
    torch.manual_seed(0)
    return zoo.TextCNN(50, **{"widths": (2, 3), "maps": 6, "embedding": 8, **options}).eval()


def test_logits_are_the_equations_of_the_paper_word_by_word() -> None:
    network = small(num_classes=3)
    words = sentences()
    weight, bias = network.head.get_submodule("linear").parameters()
    vectors = network.stem.words.weight[words]  # (N, T, embedding)
    features = []
    for branch in network.stages.branches:
        filters, b = branch.get_submodule("conv").parameters()
        width = filters.shape[2]
        windows = [vectors[:, t : t + width].transpose(1, 2).flatten(1) for t in range(9 - width + 1)]
        features.append(torch.stack([(w @ filters.flatten(1).T + b).relu() for w in windows]).amax(0))
    torch.testing.assert_close(network(words), torch.cat(features, 1) @ weight.T + bias)


def test_the_paper_s_network_has_the_parameters_and_products_of_its_section_3_1() -> None:
    measured = measure_network(zoo.TextCNN(18_765), (sentences(20),))  # the words of its first data set, MR
    filters = sum(100 * 300 * width for width in (3, 4, 5))
    assert measured.complete
    assert measured.parameters == 18_765 * 300 + filters + 300 + 300 * 2 + 2
    assert measured.macs == 4 * (sum(100 * 300 * width * (20 - width + 1) for width in (3, 4, 5)) + 600)


def test_a_trace_of_whole_numbers_sees_two_layers_and_every_filter() -> None:
    graph = trace(small(), (sentences(),))
    assert graph.depth == 2 and graph.input_shape == (4, 9) and not graph.used_real_tensors
    assert sum(call.kind == "Conv1d" for call in graph.modules) == 2


def test_padding_adds_nothing_to_a_vector_and_is_never_learned() -> None:
    network = small().train()
    words = sentences()
    words[:, 5:] = 0
    network(words).sum().backward()
    gradient = network.stem.words.weight.grad
    assert not network.stem.words.weight[0].any() and gradient is not None and not gradient[0].any()
    assert gradient[words[:, :5]].any()


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_sentence_shorter_than_the_widest_filter_counts_as_padded(length: int) -> None:
    network = small()
    words = sentences(length)
    padded = nn.functional.pad(words, (0, 3 - length))
    assert torch.equal(network(words), network(padded))


def test_the_place_of_a_phrase_does_not_matter_and_the_order_of_its_words_does() -> None:
    network = small()
    phrase = [7, 8, 9]
    early, late = (torch.tensor([[0] * n + phrase + [0] * (9 - n)]) for n in (2, 5))
    torch.testing.assert_close(network(early), network(late))
    assert not torch.allclose(network(early), network(torch.tensor([[0, 0, 9, 8, 7, 0, 0, 0, 0, 0, 0, 0]])))


def test_rows_that_grew_too_long_are_scaled_back_and_the_others_stay() -> None:
    network = small()
    weight = network.head.get_submodule("linear").get_parameter("weight")
    with torch.no_grad():
        weight[0] *= 100
    direction, other = weight[0] / weight[0].norm(), weight[1].clone()
    network.constrain()
    torch.testing.assert_close(weight[0], 3 * direction)
    assert torch.equal(weight[1], other)


def test_fit_learns_which_word_comes_first_from_its_seed_and_leaves_torch_s_generator_alone() -> None:
    words = torch.randint(3, 20, (200, 8), generator=torch.Generator().manual_seed(1))
    labels = torch.arange(200) % 2
    words[:, 3], words[:, 4] = 1 + labels, 2 - labels  # "1 2" or "2 1"
    networks, heard = [small(dropout=0.5) for _ in range(2)], []
    for number, network in enumerate(networks):
        before = torch.manual_seed(number).get_state()
        found = network.fit(words, labels, epochs=12, seed=3, progress=lambda *told: heard.append(told[:3]))
        assert found is network and not network.training
        assert (network(words).argmax(1) == labels).all()
        assert torch.equal(torch.get_rng_state(), before)
    assert heard[:2] == [("fit", 1, 12), ("fit", 2, 12)]
    assert all(torch.equal(*pair) for pair in zip(*(network.parameters() for network in networks), strict=True))
    assert networks[0].head.get_submodule("linear").get_parameter("weight").norm(dim=1).max() <= 3 + 1e-5


@pytest.mark.parametrize("kind", [torch.uint8, torch.int16, torch.int32])
def test_fit_takes_whole_numbers_of_any_size(kind: torch.dtype) -> None:
    words, labels = sentences(), torch.tensor([0, 1, 1, 0])
    networks = [small(), small()]
    networks[1].load_state_dict(networks[0].state_dict())
    networks[0].fit(words, labels, epochs=2)
    networks[1].fit(words.to(kind), labels.to(kind), epochs=2)
    assert all(torch.equal(*pair) for pair in zip(*(network.parameters() for network in networks), strict=True))


@pytest.mark.parametrize(
    ("words", "labels"),
    [
        (torch.ones(4, 3), torch.zeros(4).long()),
        (torch.ones(4, 3).long(), torch.zeros(4)),
        (torch.ones(4, 3).long(), torch.zeros(3).long()),
        (torch.ones(0, 3).long(), torch.zeros(0).long()),
    ],
)
def test_fit_says_what_it_takes(words: torch.Tensor, labels: torch.Tensor) -> None:
    with pytest.raises(UsageError, match=r"expected whole numbers, \(N, T\) and \(N,\)"):
        small().fit(words, labels, epochs=1)


@pytest.mark.parametrize(
    ("words", "came"),
    [
        (torch.zeros(2, 5), r"\(2, 5\) of torch.float32"),
        (torch.zeros(5, dtype=torch.long), r"\(5,\) of torch.int64"),
        (torch.zeros(2, 5, dtype=torch.bool), r"\(2, 5\) of torch.bool"),
    ],
)
def test_what_are_no_sentences_is_told_by_the_network_itself(words: torch.Tensor, came: str) -> None:
    with pytest.raises(UsageError, match=rf"words came as {came}; expected whole numbers, \(N, T\)"):
        small()(words)


def test_words_and_labels_that_the_network_has_not_are_told_before_it_learns() -> None:
    words, labels = sentences(), torch.tensor([0, 1, 1, 0])
    network = small()
    before = [parameter.clone() for parameter in network.parameters()]
    for wrong, text in ((words + 49, r"words go from \d+ to \d+; expected 0 to 49"), (words - 60, "words go from -")):
        with pytest.raises(DataError, match=text):
            network.fit(wrong, labels, epochs=1)
    with pytest.raises(DataError, match="labels go from 1 to 2; expected 0 to 1"):
        network.fit(words, labels + 1, epochs=1)
    with pytest.raises(UsageError, match="words and labels came as ndarray and list; expected tensors"):
        network.fit(words.numpy(), labels.tolist(), epochs=1)  # type: ignore[arg-type]
    for rate in (0.0, -1.0, float("nan")):
        with pytest.raises(UsageError, match=r"learning_rate is .*; expected a number above 0"):
            network.fit(words, labels, epochs=1, learning_rate=rate)
    assert all(torch.equal(*pair) for pair in zip(before, network.parameters(), strict=True))


def test_learning_that_diverges_is_told() -> None:
    with pytest.raises(DataError, match="TextCNN diverged: its weights are no finite numbers any more"):
        small().fit(sentences(), torch.tensor([0, 1, 1, 0]), epochs=40, learning_rate=1e36)


def test_it_is_not_in_the_registry_whose_networks_read_pictures() -> None:
    assert "textcnn" not in zoo.names()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": ()}, r"widths is \(\), expected how many words each filter sees, such as \(3, 4, 5\)"),
        ({"widths": (3, 0)}, "a width in widths is 0, expected a whole number"),
        ({"maps": 0}, "maps is 0, expected a whole number"),
        ({"dropout": 1.5}, "dropout is 1.5; expected a number of at least 0 and less than 1"),
    ],
)
def test_a_wrong_option_is_refused_with_what_was_expected(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        small(**options)
