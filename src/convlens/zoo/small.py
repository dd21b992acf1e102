"""The rule for small pictures, the same for every family.

A picture whose short side is at most 64 px is small: networks drawn for 224 px, which halve it five times, would leave
a point of it. They skip some of the first halvings, so that the last feature map has about 3 px a side or more:

    family       up to 32 px                       up to 64 px                        above
    ResNet       3x3 stem, stride 1, no pooling    the same                           the paper's stem
    for CIFAR    the paper's 3x3 stem              3x3 stem, stride 2                 the same and 3x3 pooling
    MobileNets   the first two halvings skipped    the first one skipped              the paper's strides
    MnasNet      as MobileNets                     as MobileNets                      the paper's strides
    ShuffleNets  as MobileNets                     as MobileNets                      the paper's strides
    VGG          the last two poolings left out    the last one left out              the paper's five poolings
    GoogLeNet    the first two halvings skipped    the first one skipped              the paper's strides
    Inception v3 as GoogLeNet, the stem padded     the same                          paper's; padded below 75
    Xception     the first two halvings skipped    the first one skipped              the paper's strides
    NASNet       the first two halvings skipped    the first one skipped              the paper's strides
    AlexNet      5x5 first convolution, stride 1   5x5 first convolution, stride 2    11x11, stride 4
    SE-ResNet    as ResNet                         as ResNet                          the paper's stem
    DenseNet     as ResNet                         as ResNet                          the paper's stem
    DenseNet-BC  the paper's 3x3 convolution       the same with stride 2             and pooling behind it
    SqueezeNet   the first two halvings skipped    the first one skipped              the paper's strides
    sprint       three halvings at any size        the same                           the same

ResNeXt, the plain networks and wide_resnet50_2 have ResNet's stem; the CIFAR networks of ResNet and of wide ResNet are
drawn for 32 px, and halve larger pictures first.
VGG and AlexNet also trade their three wide Linear layers for one on the global average, as their CIFAR variants do.
LeNet-5, the MLP, the perceptron and the recurrent readers fit any size, for their layers are sized by it.
"""

from __future__ import annotations

from collections.abc import Sequence

from convlens.errors import NetworkError

SMALL = 64
TINY = 32


def is_small(image_size: tuple[int, int]) -> bool:
    return min(image_size) <= SMALL


def skipped_halvings(image_size: tuple[int, int]) -> int:
    """How many of the five halvings a picture of (height, width) cannot afford: 2 up to 32 px, 1 up to 64, else 0."""
    return (min(image_size) <= SMALL) + (min(image_size) <= TINY)


def added_halvings(image_size: tuple[int, int]) -> int:
    """How many halvings a network drawn for 32 px needs before its own: none up to 32 px, 1 up to 64, else 2."""
    return 2 - skipped_halvings(image_size)


def gentle_strides(strides: Sequence[int], image_size: tuple[int, int]) -> list[int]:
    """The strides of a network from its stem on, with the first 2s made 1 as the rule asks."""
    left, gentle = skipped_halvings(image_size), list(strides)
    for index, stride in enumerate(strides):
        if stride == 2 and left:
            gentle[index], left = 1, left - 1
    return gentle


def check_smallest(network: str, image_size: tuple[int, int], smallest: int) -> None:
    """NetworkError where a side is under the least at which the network's last feature map still has a pixel."""
    if min(image_size) < smallest:
        raise NetworkError(
            f"{network} needs pictures of at least {smallest} x {smallest} px, got {image_size[0]} x {image_size[1]}; "
            "take a larger image_size, or the mlp, which fits any"
        )
