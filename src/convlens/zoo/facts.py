"""The numbers of every registered network, each with its source; tests hold the code to them.

MACs are the multiplications of convolutions and matrix products for one picture; biases, norms, pooling, activations
and the RBF distances of `lenet5_1998` are not among them. All is at the entry's resolution, channels and classes.

Sources of parameters and MACs:
    TV, TIMM   the published implementation, counted
    PAPER      arithmetic on the paper's table; parameters as far as the paper prints them
    OWN        the same for a network of this project
Ways in which accuracies (in per cent) were taken; their source is what was published with the weights of
`zoo.published`, else the paper's table that the row names:
    MNIST, CIFAR   the test part, whole pictures
    VIEWS          the same, the average over shifts of a pixel and mirror images
    CROP           ImageNet's validation part, the centre of each picture
    TEN            the same, the average over four corners and the centre, and their mirror images
    DENSE          the same, the average over all places of a picture whose short side is 256 px, and its mirror image
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Facts:
    """Counts of one network, and its published accuracy in 0..1 where there is one.

    `depth` counts the layers with weights (convolutions and matrix products) on the longest way through the network, in
    a recurrent one every step in the order of its computation (a stacked layer waits for the last state of the first).
    `receptive_field` is in pixels: what a position of the last feature map sees through convolutions and poolings,
    padding included, so that it may exceed the picture (None where there is no map). A `gated` network has squeeze and
    excite, by whose gates every position depends on the whole picture as well.
    """

    parameters: int  # those that are measured and not trained included
    macs: int
    depth: int
    receptive_field: int | None
    gated: bool
    counts_source: str
    top1: float | None
    top5: float | None
    data_set: str | None
    protocol: str | None
    accuracy_source: str | None


@dataclass(frozen=True)
class Multiplier:
    """A row of a multiplier table: counts at a width and an image size, and the paper's rounded ones in millions.

    `top1` and `top5`, 0 to 1, are ImageNet's, of one crop, with the published weights of that width and size.
    """

    network: str
    width: float
    image_size: int
    parameters: int
    macs: int
    paper_parameters: float | None
    paper_macs: float | None
    source: str
    top1: float | None = None
    top5: float | None = None
    accuracy_source: str | None = None


TV, TIMM, PAPER = "torchvision 0.28", "timm 1.0.31", "arithmetic on the paper's table"
OWN = "arithmetic on this project's table"
CHECKPOINTS = "github.com/tensorflow/models, research/slim/nets/mobilenet_v1.md (2018), one crop"
GATED = frozenset({"se_resnet50", "mnasnet_a1", "mobilenet_v3_large", "mobilenet_v3_small"})
DATA_SETS = ("MNIST", "CIFAR-10", "ImageNet")

# fmt: off
MNIST      = ("MNIST",    "test part")
CIFAR      = ("CIFAR-10", "test part")
VIEWS      = ("CIFAR-10", "test part, 6 views")
CROP       = ("ImageNet", "1 crop")
TEN        = ("ImageNet", "10 crops")
DENSE      = ("ImageNet", "dense")
NONE       = (None, None)

WEIGHTS    = f"published with the weights, {TV}"
UNSAID     = ", which names no crops; the authors' code takes one"
LECUN      = "LeCun et al. 1998, figure 9"
KRIZHEVSKY = "Krizhevsky et al. 2012, table 2, one network"
SIMONYAN   = "Simonyan and Zisserman 2014, table 3"
SZEGEDY    = "Szegedy et al. 2014, table 3, one network"
HE         = "He et al. 2015, table 6"
BEST       = "He et al. 2015, table 6, the best of five"
CHOLLET    = "Chollet 2016, table 1"
ZAGORUYKO  = "Zagoruyko and Komodakis 2016, table 5"
HUANG      = "Huang et al. 2016, table 2"
HOWARD     = "Howard et al. 2017, table 6" + UNSAID
ZHANG      = "Zhang et al. 2017, table 2"
ZOPH_LARGE = "Zoph et al. 2017, table 2" + UNSAID
ZOPH_SMALL = "Zoph et al. 2017, table 3" + UNSAID
HU         = "Hu et al. 2017, table 2"
JORDAN     = "Jordan 2024, airbench94_muon, the mean of 200"
TAN        = "Tan et al. 2018, table 1" + UNSAID

#    network               parameters            MACs depth field counted top-1   top-5   taken  source
TABLE = [
    ("perceptron",                7_850,          7_840,   1, None, PAPER, 88.0,   None,   MNIST, LECUN),
    ("mlp",                     266_610,        266_200,   3, None, PAPER, 96.95,  None,   MNIST, LECUN),
    ("rnn_rows",                 21_514,        560_384,  29, None, PAPER, None,   None,   NONE,  None),
    ("lstm_rows",                82_186,      2_237_696,  29, None, PAPER, None,   None,   NONE,  None),
    ("bilstm_rows",             164_362,      4_475_392,  29, None, PAPER, None,   None,   NONE,  None),
    ("stacked_lstm_rows",       214_282,      5_907_712,  57, None, PAPER, None,   None,   NONE,  None),
    ("gru_rows",                 61_962,      1_678_592,  29, None, PAPER, None,   None,   NONE,  None),
    ("peephole_lstm_rows",       82_058,      2_237_696,  29, None, PAPER, None,   None,   NONE,  None),
    ("cifg_rows",                61_578,      1_678_592,  29, None, PAPER, None,   None,   NONE,  None),
    ("lenet5_1998",              60_000,        325_680,   4,   16, PAPER, 99.05,  None,   MNIST, LECUN),
    ("lenet5",                   61_706,        416_520,   5,   16, PAPER, None,   None,   NONE,  None),
    ("alexnet_paper",        60_965_224,    724_406_816,   8,  195, PAPER, 59.3,   81.8,   TEN,   KRIZHEVSKY),
    ("alexnet",              61_100_840,    714_188_480,   8,  195, TV,    56.522, 79.066, CROP,  WEIGHTS),
    ("vgg11",               132_863_336,  7_609_090_048,  11,  150, TV,    69.020, 88.628, CROP,  WEIGHTS),
    ("vgg11_bn",            132_868_840,  7_609_090_048,  11,  150, TV,    70.370, 89.810, CROP,  WEIGHTS),
    ("vgg11_lrn",           132_863_336,  7_609_090_048,  11,  150, PAPER, 70.3,   89.5,   DENSE, SIMONYAN),
    ("vgg11_lrn_bn",        132_868_840,  7_609_090_048,  11,  150, PAPER, None,   None,   NONE,  None),
    ("vgg13",               133_047_848, 11_308_466_176,  13,  156, TV,    69.928, 89.246, CROP,  WEIGHTS),
    ("vgg13_bn",            133_053_736, 11_308_466_176,  13,  156, TV,    71.586, 90.374, CROP,  WEIGHTS),
    ("vgg16_c",             133_638_952, 11_770_888_192,  16,  156, PAPER, 71.9,   90.6,   DENSE, SIMONYAN),
    ("vgg16_c_bn",          133_647_400, 11_770_888_192,  16,  156, PAPER, None,   None,   NONE,  None),
    ("vgg16",               138_357_544, 15_470_264_320,  16,  212, TV,    71.592, 90.382, CROP,  WEIGHTS),
    ("vgg16_bn",            138_365_992, 15_470_264_320,  16,  212, TV,    73.360, 91.516, CROP,  WEIGHTS),
    ("vgg19",               143_667_240, 19_632_062_464,  19,  268, TV,    72.376, 90.876, CROP,  WEIGHTS),
    ("vgg19_bn",            143_678_248, 19_632_062_464,  19,  268, TV,    74.218, 91.842, CROP,  WEIGHTS),
    ("googlenet_paper",       6_998_552,  1_582_671_872,  22,  715, PAPER, None,   89.93,  CROP,  SZEGEDY),
    ("googlenet",             6_624_904,  1_498_376_192,  22,  379, TV,    69.778, 89.530, CROP,  WEIGHTS),
    ("inception_v3",         23_834_568,  5_713_216_096,  48, 1311, TV,    77.294, 93.450, CROP,  WEIGHTS),
    ("resnet18",             11_689_512,  1_814_073_344,  18,  435, TV,    69.758, 89.078, CROP,  WEIGHTS),
    ("resnet34",             21_797_672,  3_663_761_408,  34,  899, TV,    73.314, 91.420, CROP,  WEIGHTS),
    ("resnet50",             25_557_032,  4_089_184_256,  50,  427, TV,    76.130, 92.862, CROP,  WEIGHTS),
    ("resnet101",            44_549_160,  7_801_405_440, 101,  971, TV,    77.374, 93.546, CROP,  WEIGHTS),
    ("resnet152",            60_192_808, 11_513_626_624, 152, 1451, TV,    78.312, 94.046, CROP,  WEIGHTS),
    ("plain18",              11_515_688,  1_794_805_760,  18,  435, PAPER, None,   None,   NONE,  None),
    ("plain34",              21_623_848,  3_644_493_824,  34,  899, PAPER, None,   None,   NONE,  None),
    ("resnet20",                269_722,     40_551_040,  20,   81, PAPER, 91.25,  None,   CIFAR, HE),
    ("resnet32",                464_154,     68_862_592,  32,  137, PAPER, 92.49,  None,   CIFAR, HE),
    ("resnet44",                658_586,     97_174_144,  44,  193, PAPER, 92.83,  None,   CIFAR, HE),
    ("resnet56",                853_018,    125_485_696,  56,  249, PAPER, 93.03,  None,   CIFAR, HE),
    ("resnet110",             1_727_962,    252_887_680, 110,  501, PAPER, 93.57,  None,   CIFAR, BEST),
    ("resnet1202",           19_421_274,  2_829_238_912, 1202, 5597, PAPER, 92.07,  None,   CIFAR, HE),
    ("wide_resnet16_8",      10_961_370,  1_548_145_664,  14,   53, PAPER, 95.73,  None,   CIFAR, ZAGORUYKO),
    ("wide_resnet28_10",     36_479_194,  5_243_328_768,  26,  109, PAPER, 96.00,  None,   CIFAR, ZAGORUYKO),
    ("wide_resnet50_2",      68_883_240, 11_398_021_120,  50,  427, TV,    78.468, 94.086, CROP,  WEIGHTS),
    ("resnext50_32x4d",      25_028_904,  4_230_479_872,  50,  427, TV,    77.618, 93.698, CROP,  WEIGHTS),
    ("resnext101_32x8d",     88_791_336, 16_414_015_488, 101,  971, TV,    79.312, 94.526, CROP,  WEIGHTS),
    ("resnext101_64x4d",     83_455_272, 15_460_270_080, 101,  971, TV,    83.246, 96.454, CROP,  WEIGHTS),
    ("xception",             22_855_952,  8_357_403_496,  71, 1083, TIMM,  79.0,   94.5,   CROP,  CHOLLET),
    ("nasnet_mobile",         5_289_978,    563_638_816,  98, 2407, PAPER, 74.0,   91.6,   CROP,  ZOPH_SMALL),
    ("nasnet_large",         88_753_150, 23_783_414_658, 128, 3303, TIMM,  82.7,   96.2,   CROP,  ZOPH_LARGE),
    ("se_resnet50",          28_088_024,  4_091_699_200,  82,  427, TIMM,  76.71,  93.38,  CROP,  HU),
    ("densenet121",           7_978_856,  2_834_161_664, 121, 2071, TV,    74.434, 91.972, CROP,  WEIGHTS),
    ("densenet161",          28_681_000,  7_727_907_072, 161, 2967, TV,    77.138, 93.560, CROP,  WEIGHTS),
    ("densenet169",          14_149_480,  3_359_843_328, 169, 3351, TV,    75.600, 92.806, CROP,  WEIGHTS),
    ("densenet201",          20_013_928,  4_291_365_888, 201, 3863, TV,    76.896, 93.370, CROP,  WEIGHTS),
    ("densenet_bc_100_12",      769_162,    287_929_692, 100,  230, PAPER, 95.49,  None,   CIFAR, HUANG),
    ("squeezenet1_0",         1_248_424,    818_924_576,  18,  155, TV,    58.092, 80.420, CROP,  WEIGHTS),
    ("squeezenet1_1",         1_235_496,    349_151_936,  18,  207, TV,    58.178, 80.624, CROP,  WEIGHTS),
    ("shufflenet_v1",         1_865_728,    137_460_672,  50,  527, PAPER, 67.4,   None,   CROP,  ZHANG),
    ("shufflenet_v2_x0_5",    1_366_792,     40_476_448,  51,  527, TV,    60.552, 81.746, CROP,  WEIGHTS),
    ("shufflenet_v2_x1_0",    2_278_604,    144_907_992,  51,  527, TV,    69.362, 88.316, CROP,  WEIGHTS),
    ("shufflenet_v2_x1_5",    3_503_624,    295_759_392,  51,  527, TV,    72.996, 91.086, CROP,  WEIGHTS),
    ("shufflenet_v2_x2_0",    7_393_996,    583_253_464,  51,  527, TV,    76.230, 93.006, CROP,  WEIGHTS),
    ("mnasnet0_5",            2_218_512,    104_455_968,  53,  843, TV,    67.734, 87.490, CROP,  WEIGHTS),
    ("mnasnet0_75",           3_170_208,    215_493_104,  53,  843, TV,    71.180, 90.496, CROP,  WEIGHTS),
    ("mnasnet1_0",            4_383_312,    314_415_872,  53,  843, TV,    73.456, 91.510, CROP,  WEIGHTS),
    ("mnasnet1_3",            6_282_256,    526_362_432,  53,  843, TV,    76.506, 93.522, CROP,  WEIGHTS),
    ("mnasnet_a1",            3_887_038,    311_579_072,  66,  659, TIMM,  75.2,   92.5,   CROP,  TAN),
    ("mobilenet_v1",          4_231_976,    568_740_352,  28,  315, TIMM,  70.6,   None,   CROP,  HOWARD),
    ("mobilenet_v2",          3_504_872,    300_774_272,  53,  491, TV,    71.878, 90.286, CROP,  WEIGHTS),
    ("mobilenet_v3_large",    5_483_032,    216_589_760,  64,  595, TV,    74.042, 91.340, CROP,  WEIGHTS),
    ("mobilenet_v3_small",    2_542_856,     56_510_400,  54,  639, TV,    67.668, 87.402, CROP,  WEIGHTS),
    ("sprint_cifar",          1_971_640,    118_147_360,   8,   51, PAPER,  94.01,  None,   VIEWS, JORDAN),
    ("sprint_cifar_deep",     9_915_704,    451_967_264,  11,   79, PAPER,  96.03,  None,   VIEWS, JORDAN),
    ("sprint_mnist",             29_178,      1_924_992,   4,   22, OWN,    None,   None,   NONE,  None),
    ("sprint_mnist_deep",       221_978,      5_515_776,   5,   38, OWN,    None,   None,   NONE,  None),
]

# Howard et al. 2017, tables 6 and 7, and the sizes of the published checkpoints between them; the other rows are
# published implementations.
#               network               width   px  parameters         MACs  paper's M     source  top-1  top-5  source
MULTIPLIER_TABLE: list[tuple[Any, ...]] = [
    ("mobilenet_v1",        1.0,   224,  4_231_976, 568_740_352, 4.2,  569.0, PAPER, 0.709, 0.899, CHECKPOINTS),
    ("mobilenet_v1",        1.0,   192,  4_231_976, 418_121_728, 4.2,  418.0, PAPER, 0.700, 0.892, CHECKPOINTS),
    ("mobilenet_v1",        1.0,   160,  4_231_976, 290_675_200, 4.2,  290.0, PAPER, 0.680, 0.877, CHECKPOINTS),
    ("mobilenet_v1",        1.0,   128,  4_231_976, 186_400_768, 4.2,  186.0, PAPER, 0.652, 0.858, CHECKPOINTS),
    ("mobilenet_v1",        0.75,  224,  2_585_560, 325_400_448, 2.6,  325.0, PAPER, 0.684, 0.882, CHECKPOINTS),
    ("mobilenet_v1",        0.75,  192,  2_585_560, 239_273_472, 2.6,  None,  PAPER, 0.672, 0.873, CHECKPOINTS),
    ("mobilenet_v1",        0.75,  160,  2_585_560, 166_396_800, 2.6,  None,  PAPER, 0.653, 0.860, CHECKPOINTS),
    ("mobilenet_v1",        0.75,  128,  2_585_560, 106_770_432, 2.6,  None,  PAPER, 0.621, 0.839, CHECKPOINTS),
    ("mobilenet_v1",        0.5,   224,  1_331_592, 149_497_088, 1.3,  149.0, PAPER, 0.633, 0.849, CHECKPOINTS),
    ("mobilenet_v1",        0.5,   192,  1_331_592, 109_970_432, 1.3,  None,  PAPER, 0.617, 0.836, CHECKPOINTS),
    ("mobilenet_v1",        0.5,   160,  1_331_592,  76_524_800, 1.3,  None,  PAPER, 0.591, 0.819, CHECKPOINTS),
    ("mobilenet_v1",        0.5,   128,  1_331_592,  49_160_192, 1.3,  None,  PAPER, 0.563, 0.794, CHECKPOINTS),
    ("mobilenet_v1",        0.25,  224,    470_072,  41_030_272, 0.5,   41.0, PAPER, 0.498, 0.742, CHECKPOINTS),
    ("mobilenet_v1",        0.25,  192,    470_072,  30_212_608, 0.5,  None,  PAPER, 0.477, 0.723, CHECKPOINTS),
    ("mobilenet_v1",        0.25,  160,    470_072,  21_059_200, 0.5,  None,  PAPER, 0.455, 0.703, CHECKPOINTS),
    ("mobilenet_v1",        0.25,  128,    470_072,  13_570_048, 0.5,  None,  PAPER, 0.415, 0.663, CHECKPOINTS),
    ("mobilenet_v1",        1.25,  224,  6_270_840, 879_516_800, None, None,  TIMM),
    ("mobilenet_v2",        0.5,   224,  1_968_680,  97_131_840, None,  97.0, TIMM),
    ("mobilenet_v2",        1.4,   224,  6_108_776, 582_195_824, None, 585.0, TIMM),
    ("mnasnet_a1",          0.5,   224,  2_082_006, 103_162_992, None, None,  TIMM),
    ("mnasnet_a1",          1.4,   224,  6_105_992, 586_317_952, None, None,  TIMM),
    ("mobilenet_v3_large",  0.75,  224,  3_993_528, 154_560_624, 4.0,  155.0, TIMM),
    ("mobilenet_v3_small",  0.5,   224,  1_593_224,  24_188_688, None, None,  TIMM),
]
# fmt: on


def _ratio(per_cent: float | None) -> float | None:
    return None if per_cent is None else round(per_cent / 100, 5)


MULTIPLIERS = tuple(Multiplier(*row) for row in MULTIPLIER_TABLE)
FACTS = {
    name: Facts(parameters, macs, depth, field, name in GATED, counted, _ratio(top1), _ratio(top5), *taken, source)
    for name, parameters, macs, depth, field, counted, top1, top5, taken, source in TABLE
}
