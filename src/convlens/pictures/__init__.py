"""Pictures: decode any file safely, bring it to the network and back, and draw what was found."""

from __future__ import annotations

from convlens.pictures.channels import is_grey
from convlens.pictures.decode import MAX_PIXELS, Source, claimed_size, decode, decode_and_inspect, inspect, pixels_of
from convlens.pictures.drawing import colour, enlarged, heat_layer, overlay
from convlens.pictures.encode import gif_bytes, png_bytes, thumbnail
from convlens.pictures.facts import PictureFacts
from convlens.pictures.failures import failure_kind
from convlens.pictures.preprocess import FITS, Preprocess
from convlens.pictures.sheets import contact_sheet

__all__ = [
    "FITS",
    "MAX_PIXELS",
    "PictureFacts",
    "Preprocess",
    "Source",
    "claimed_size",
    "colour",
    "contact_sheet",
    "decode",
    "decode_and_inspect",
    "enlarged",
    "failure_kind",
    "gif_bytes",
    "heat_layer",
    "inspect",
    "is_grey",
    "overlay",
    "pixels_of",
    "png_bytes",
    "thumbnail",
]
