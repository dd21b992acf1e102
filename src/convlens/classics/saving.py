"""A classic as one safetensors file: its tensors, and in the header its name and sizes. Nothing is pickled."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save as pack

from convlens.classics.adversarial import Adversarial
from convlens.classics.boltzmann import BoltzmannMachine
from convlens.classics.dbn import DBN
from convlens.classics.dcgan import DCGAN
from convlens.classics.gan import GAN
from convlens.classics.given import check_file, check_finite
from convlens.classics.hopfield import Hopfield, Projection
from convlens.classics.rbm import RBM
from convlens.errors import StorageError, UsageError
from convlens.storage import write_bytes

Classic = Hopfield | BoltzmannMachine | RBM | DBN | GAN | DCGAN
CLASSICS: dict[str, type[Classic]] = {
    kind.__name__: kind for kind in (Hopfield, Projection, BoltzmannMachine, RBM, DBN, GAN, DCGAN)
}


def save(classic: Classic, path: str | Path) -> None:
    """Write it whole or not at all, in place of a file that is there."""
    name = type(classic).__name__
    if CLASSICS.get(name) is not type(classic):
        raise UsageError(f"{name} came to be saved; expected one of {', '.join(CLASSICS)}")
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in classic.state_dict().items()}
    header = {"classic": name, "sizes": json.dumps(classic.sizes)}
    if isinstance(classic, DBN) and classic.num_classes:
        header["num_classes"] = json.dumps(classic.num_classes)
    write_bytes(Path(path), pack(tensors, metadata=header))


def load(path: str | Path) -> Classic:
    """What `save` wrote; adversarial networks in evaluation mode, as `fit` gives them.

    UsageError where there is no file, StorageError where it is damaged or of another kind.
    """
    file = check_file(path)
    try:
        with safe_open(file, framework="pt") as content:
            header = content.metadata() or {}
            options = {key: json.loads(header[key]) for key in ("num_classes",) if key in header}
            classic = CLASSICS[header["classic"]](*json.loads(header["sizes"]), **options)
            tensors = {key: content.get_tensor(key) for key in content.keys()}  # noqa: SIM118
            classic.load_state_dict(tensors, assign=True)  # in the type that they have
            check_finite(classic)
    except Exception as error:  # safetensors, json and torch raise half a dozen kinds for a damaged file
        reason = " ".join(str(error).split())[:200]
        raise StorageError(
            f"{file} cannot be read as a classic ({type(error).__name__}: {reason}); expected a whole file that "
            "`convlens.classics.save` wrote"
        ) from error
    return classic.eval() if isinstance(classic, Adversarial) else classic
