"""What a network hands over to NumPy or Python, where no operation of torch tells what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

# Ways in which all values of a tensor leave torch, or are changed by a function of Python. A single number that is
# taken out (`item`, a branch on it) is not among them: what Python does with one is no work to speak of.
WAYS_OUT = {
    "numpy": "numpy",
    "__array__": "numpy",
    "__dlpack__": "dlpack",
    "tolist": "tolist",
    "apply_": "apply_",
    "map_": "map_",
    "map2_": "map2_",
}


class HandingOver(TorchFunctionMode):
    """Under this mode `tell` hears of every tensor that is handed over, and by which method of it."""

    def __init__(self, tell: Callable[[Tensor, str], None]) -> None:
        super().__init__()
        self._tell = tell

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        way = WAYS_OUT.get(getattr(func, "__name__", ""))
        if way is not None and args and isinstance(args[0], Tensor):
            self._tell(args[0], way)
        return func(*args, **(kwargs or {}))
