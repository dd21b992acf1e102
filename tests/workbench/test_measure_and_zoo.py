"""What networks cost: of a run, a name, a module; and the list of all."""

from __future__ import annotations

from itertools import groupby

import pytest
import torch
from torch import nn

import convlens
from convlens.errors import RunError, StorageError, UsageError
from convlens.runs import Run
from convlens.workbench import compare, create, measure, zoo
from convlens.workbench.zoo import SORTS


def test_a_run_a_loaded_run_and_a_name_measure_the_same(trained_run):
    by_name = measure("lenet5").network
    assert (by_name.parameters, by_name.macs) == (61_706, 416_520)
    assert measure(trained_run).network == measure(Run.load(trained_run)).network == by_name
    assert measure(trained_run).input_shape == (1, 1, 28, 28)


def test_a_module_is_measured_at_the_size_that_is_asked_for():
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())
    result = measure(module, image_size=10, in_channels=1)
    assert (result.name, result.input_shape) == ("Sequential", (1, 1, 10, 10))
    assert (result.network.parameters, result.network.macs) == (20, 8 * 8 * 2 * 9)


def test_a_run_is_measured_at_another_resolution_too(tmp_path):
    run = create("resnet18", num_classes=10, image_size=32, out=tmp_path / "run").run
    assert measure(run, image_size=96).network.macs == measure("resnet18", image_size=96, num_classes=10).network.macs
    assert measure(run).network.macs == measure("resnet18", image_size=32, num_classes=10).network.macs


def test_options_and_sizes_reach_the_network():
    small = measure("resnet18", image_size=32, num_classes=10, in_channels=1, model_options={"width": 0.5})
    assert small.input_shape == (1, 1, 32, 32)
    assert small.network.parameters < measure("resnet18").network.parameters / 3


def test_a_module_that_reads_no_pictures_is_measured_on_example_inputs(tmp_path):
    network, words = convlens.zoo.TextCNN(50, widths=(2, 3), maps=6, embedding=8), torch.randint(1, 50, (1, 9))
    result = measure(network, inputs=words, diagram=tmp_path / "text.svg")
    assert (result.name, result.input_shape, result.latency) == ("TextCNN", (1, 9), None)
    assert result.network.complete and result.network.macs == 6 * 8 * (2 * 8 + 3 * 7) + 12 * 2
    assert "<svg" in (tmp_path / "text.svg").read_text()
    assert measure(network, inputs=(words,)).network == result.network
    assert measure(nn.Conv1d(4, 2, 3), inputs=(1, 4, 10)).network.macs == 2 * 4 * 3 * 8


def test_inputs_go_with_a_module_alone_and_with_nothing_that_is_of_pictures():
    words = torch.zeros(1, 4, dtype=torch.int64)
    with pytest.raises(UsageError, match="inputs came with lenet5, which reads pictures"):
        measure("lenet5", inputs=words)
    with pytest.raises(UsageError, match="--image-size came with inputs, which has its own"):
        measure(nn.Embedding(3, 2), inputs=words, image_size=8)
    with pytest.raises(UsageError, match=r"latency came with inputs.*measure_latency"):
        measure(nn.Embedding(3, 2), inputs=words, latency=True)
    with pytest.raises(UsageError, match="inputs came as 'words'; expected a tensor"):
        measure(nn.Embedding(3, 2), inputs="words")


def test_latency_is_timed_only_when_asked_for():
    assert measure("perceptron").latency is None
    (timed,) = measure("perceptron", latency=True, batch=4).latency.model
    assert timed.batch == 4
    assert 0 < timed.p50_ms <= timed.p99_ms


@pytest.mark.parametrize("name", ["image_size", "in_channels", "num_classes", "batch"])
def test_counts_below_one_are_refused(name):
    with pytest.raises(UsageError, match=f"--{name.replace('_', '-')} came as 0; expected a whole number of 1 or more"):
        measure("lenet5", **{name: 0})


def test_a_folder_is_no_drawing(tmp_path):
    with pytest.raises(UsageError, match=r"--diagram came as the folder .*expected a file, like .*diagram\.svg"):
        measure("lenet5", diagram=tmp_path)
    with pytest.raises(UsageError, match="--plot came as the folder"):
        compare(["lenet5", "vgg11"], plot=tmp_path)


@pytest.mark.parametrize("name", ["drawing.png", "drawing.pdf", "drawing"])
def test_a_drawing_is_refused_under_another_ending_than_its_own(tmp_path, name):
    with pytest.raises(UsageError, match=r"--diagram came as .*; an SVG is drawn, so expected a name like .*\.svg"):
        measure("lenet5", diagram=tmp_path / name)
    with pytest.raises(UsageError, match=r"--plot came as .*an SVG is drawn"):
        compare(["lenet5", "vgg11"], plot=tmp_path / name)
    assert measure("lenet5", diagram=tmp_path / "UPPER.SVG").diagram.exists()
    assert [file.name for file in tmp_path.iterdir()] == ["UPPER.SVG"]


def test_what_only_goes_with_something_else_is_not_dropped_in_silence(tmp_path):
    with pytest.raises(UsageError, match=r"--batch came as 8,16 without --latency.*add --latency, or leave it out"):
        measure("lenet5", batch=(8, 16))
    with pytest.raises(UsageError, match="--num-classes, --option came with a module, which has its own"):
        measure(nn.Conv2d(3, 2, 3), num_classes=2, model_options={"width": 2})
    for target, name in ((nn.Conv2d(3, 2, 3), "a module"), ("lenet5", "lenet5, a network of the zoo")):
        with pytest.raises(UsageError, match=f"--network net.py:Net came with {name}; give it alone, or with a run of"):
            measure(target, network="net.py:Net")
    with pytest.raises(UsageError, match="nothing came to be measured; give a run, a network of the zoo, or your own"):
        measure()


def test_the_nearest_name_is_found_whatever_its_case():
    with pytest.raises(UsageError, match="near: lenet5"):
        measure("LENET5")


def test_what_is_neither_a_network_nor_a_run_is_told(tmp_path):
    with pytest.raises(UsageError, match=r"no network is called 'lenet6' \(near: lenet5"):
        measure("lenet6")
    with pytest.raises(RunError, match=r"is no run: it holds no run\.json"):
        measure(tmp_path)


def test_the_zoo_lists_all_networks_with_their_facts():
    rows = {row.name: row for row in zoo().networks}
    assert len(rows) >= 27
    assert set(rows) == set(convlens.zoo.names())
    assert (rows["resnet50"].year, rows["resnet50"].parameters) == (2015, 25_557_032)
    assert rows["alexnet"].parameters == 61_100_840
    for row in rows.values():
        assert row.macs and row.paper and row.authors and row.link.startswith("http")


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("lenet5", {"lenet5"}),
        ("vgg16*", {"vgg16", "vgg16_bn", "vgg16_c", "vgg16_c_bn"}),
        ("mobilenet_v3_*", {"mobilenet_v3_large", "mobilenet_v3_small"}),
    ],
)
def test_the_zoo_takes_a_name_or_a_pattern(pattern, names):
    assert {row.name for row in zoo(pattern).networks} == names


def test_a_family_is_a_pattern_whatever_its_case():
    family = zoo("resnet18").networks[0].family
    assert {row.family for row in zoo(family.upper()).networks} == {family}


def test_a_pattern_that_matches_nothing_names_the_nearest():
    with pytest.raises(UsageError, match=r"no network is called 'resnt' \(near: resnet.*`convlens zoo` lists all"):
        zoo("resnt")


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("xyz*", r"no network's name or family matches 'xyz\*'; `convlens zoo` lists all \d+"),
        ("mobilnet_*", r"matches 'mobilnet_\*' \(near: mobilenet_v"),
        ("[xyz]resnt?8", r"matches '\[xyz\]resnt\?8' \(near: resnet"),
        ("resnt", r"no network is called 'resnt' \(near: resnet"),
    ],
)
def test_a_pattern_without_a_match_is_told_as_one_wherever_it_is_given(pattern, says):
    for verb in (zoo, lambda pattern: compare(zoo=pattern)):
        with pytest.raises(UsageError, match=says):
            verb(pattern)


@pytest.mark.parametrize("column", SORTS)
def test_the_zoo_is_sorted_by_any_column_and_what_has_no_value_comes_last(column):
    values = [getattr(row, column) for row in zoo("vgg*", sort=column).networks]
    known = [value for value in values if value is not None]
    assert known == sorted(known) and values == known + [None] * (len(values) - len(known))


def test_accuracies_of_one_data_set_stand_together():
    rows = [row for row in zoo(sort="top1").networks if row.top1 is not None]
    assert [name for name, _ in groupby(row.data_set for row in rows)] == ["MNIST", "CIFAR-10", "ImageNet"]
    for _, members in groupby(rows, key=lambda row: row.data_set):
        accuracies = [row.top1 for row in members]
        assert accuracies == sorted(accuracies)


def test_a_row_says_where_its_numbers_come_from():
    rows = {row.name: row for row in zoo().networks}
    assert (rows["resnet50"].data_set, rows["resnet50"].protocol) == ("ImageNet", "1 crop")
    assert rows["resnet50"].counts_source == "torchvision 0.28"
    assert (rows["alexnet_paper"].protocol, rows["vgg16_c"].protocol) == ("10 crops", "dense")
    assert rows["lenet5_1998"].accuracy_source == "LeCun et al. 1998, figure 9"
    assert rows["rnn_rows"].data_set is rows["rnn_rows"].protocol is rows["rnn_rows"].accuracy_source is None


def test_the_receptive_field_means_one_thing_with_gates_and_without():
    rows = {row.name: row for row in zoo("*resnet50").networks}
    assert rows["se_resnet50"].receptive_field == rows["resnet50"].receptive_field == 427
    assert rows["se_resnet50"].gated and not rows["resnet50"].gated


def test_an_unknown_column_is_refused():
    with pytest.raises(UsageError, match=r"no column to sort by is called 'mac' \(near: macs"):
        zoo(sort="mac")


@pytest.mark.parametrize("name", ["googlenet", "alexnet", "mlp"])
def test_a_network_whose_family_has_its_name_is_shown_alone(name):
    found = zoo(name)
    assert [row.name for row in found.networks] == [name]
    assert sum(part.parameters for part in found.card.parts) == found.networks[0].parameters


def test_the_card_of_a_network_has_its_paper_s_table_its_departures_and_its_parts():
    card = zoo("resnet50").card
    assert "Departure" in card.about and "50:" in card.table
    assert [part.path for part in card.parts] == ["stem", *(f"stages.{n}" for n in range(4)), "head"]
    assert card.parts[4].output_shape == (2048, 7, 7)
    (row,) = zoo("resnet50").networks
    assert sum(part.parameters for part in card.parts) == row.parameters
    assert sum(part.macs for part in card.parts) == row.macs
    assert zoo("resnet*").card is None


@pytest.mark.parametrize(
    ("name", "departure"),
    [
        ("alexnet", "a footnote of the paper counts 64, 192, 384, 384, 256"),
        ("mobilenet_v3_small", "no squeeze-and-excitation on its last 1x1 convolution (576), where table 2 marks one"),
        ("mobilenet_v3_large", "that quarter is rounded to a multiple of 8"),
        ("xception", "but for the shortcuts, which are plain 1x1 convolutions"),
    ],
)
def test_the_card_says_where_the_network_leaves_its_paper(name, departure):
    assert departure in " ".join(zoo(name).card.about.split())


def test_every_network_has_a_card():
    for name in ("perceptron", "mlp", "lenet5_1998", "alexnet_paper", "vgg11", "mobilenet_v3_small"):
        card = zoo(name).card
        assert card.about and card.parts[-1].path == "head", name


def test_the_zoo_is_a_room_and_a_verb():
    assert convlens.zoo("lenet5").networks == zoo("lenet5").networks
    assert convlens.zoo.create("lenet5").architecture.name == "lenet5"


def test_a_network_is_timed_on_several_batches_and_from_a_file_on():
    timed = measure("perceptron", latency=True, batch=(4, 1)).latency
    assert [one.batch for one in timed.model] == [1, 4]
    assert [one.batch for one in timed.end_to_end] == [one.batch for one in timed.model]
    assert timed.end_to_end[0].p50_ms > timed.model[0].p50_ms
    assert timed.end_to_end[-1].p50_ms > timed.end_to_end[0].p50_ms
    assert timed.picture.startswith("JPEG of 640 × 480 px")


def test_a_run_is_timed_with_its_own_preprocessing(trained_run):
    timed = measure(trained_run, latency=True, batch=2).latency
    assert timed.model[0].batch == 2 and timed.end_to_end[0].num_runs >= 10


def test_a_drawing_is_written_where_it_is_asked_for(tmp_path):
    result = measure("lenet5", diagram=tmp_path / "lenet5.svg")
    assert result.diagram == tmp_path / "lenet5.svg"
    assert (tmp_path / "lenet5.svg").read_text().startswith("<svg ")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        measure("lenet5", diagram=tmp_path / "file" / "lenet5.svg")


def test_a_place_that_cannot_be_written_names_the_option_that_chose_it(tmp_path):
    (tmp_path / "file").touch()
    below = tmp_path / "file" / "a.svg"
    with pytest.raises(StorageError, match=r"is needed; choose another place with --diagram$"):
        measure("lenet5", diagram=below)
    with pytest.raises(StorageError, match=r"is needed; choose another place with --plot$"):
        compare(["lenet5", "lenet5_1998"], plot=below)


def test_a_module_of_other_channels_is_timed_without_a_picture():
    timed = measure(nn.Conv2d(4, 2, 3), image_size=8, in_channels=4, latency=True, batch=1).latency
    assert timed.end_to_end == () and timed.model[0].p50_ms > 0
    assert measure(nn.Conv2d(3, 2, 3), image_size=8, latency=True, batch=1).latency.end_to_end == ()  # no logits


def test_what_a_run_has_itself_is_not_asked_for(trained_run):
    with pytest.raises(UsageError, match="--in-channels, --option came with"):
        measure(trained_run, in_channels=3, model_options={"width": 2})
