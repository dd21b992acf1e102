"""Open a source of labelled pictures, scan it, divide it, decode it, augment it, batch it."""

from convlens.data.augmentation import Augment
from convlens.data.batches import Batches
from convlens.data.draws import batch_seed, permutation, uniform
from convlens.data.duplicates import Looks
from convlens.data.folder import list_pictures
from convlens.data.geometry import plain_view
from convlens.data.hashing import content_hash, file_hash
from convlens.data.images import PARTS, Images, Reader
from convlens.data.named import NAMED
from convlens.data.open import open_images
from convlens.data.pixels import decode_pixels, mean_and_std, memory_bytes
from convlens.data.reduced import large, same_looks
from convlens.data.scan import Finding, Scan, scan
from convlens.data.split import EXCLUDED, divide
from convlens.data.threads import usable_cpus

__all__ = [
    "EXCLUDED",
    "NAMED",
    "PARTS",
    "Augment",
    "Batches",
    "Finding",
    "Images",
    "Looks",
    "Reader",
    "Scan",
    "batch_seed",
    "content_hash",
    "decode_pixels",
    "divide",
    "file_hash",
    "large",
    "list_pictures",
    "mean_and_std",
    "memory_bytes",
    "open_images",
    "permutation",
    "plain_view",
    "same_looks",
    "scan",
    "uniform",
    "usable_cpus",
]
