"""A dense unit: y[k] = Σ_c w[k, c] · x[c] + b[k]; and any product of matrices, a number of which is such a sum."""

from __future__ import annotations

from convlens.arithmetic.asked import Asked, Read, gathered, rule
from convlens.arithmetic.places import Index, Window
from convlens.arithmetic.steps import DenseStep, Step
from convlens.errors import counted

# fmt: off
OPERANDS = {  # op: left factor, right factor, what is added
    "addmm":   ("mat1", "mat2", "self"),
    "mm":      ("self", "mat2", None),
    "bmm":     ("self", "mat2", None),
    "baddbmm": ("batch1", "batch2", "self"),
    "mv":      ("self", "vec", None),
    "addmv":   ("mat", "vec", "self"),
    "dot":     ("self", "tensor", None),
    "linear":  ("input", "weight", "bias"),
}
# fmt: on


@rule(*OPERANDS)
def dense(asked: Asked) -> Step:
    left_name, right_name, added = OPERANDS[asked.node.op]
    left, right = asked.must(left_name), asked.must(right_name)
    sides = [(left, _row(asked, left)), (right, _column(asked, right))]
    if left.node is None and right.node is not None:  # weights times numbers
        sides.reverse()
    (x, x_index), (weight, weight_index) = sides
    inputs, weights = (gathered(one.tensor, index)[0].ravel() for one, index in sides)
    alpha, beta = float(asked.plain("alpha", 1)), float(asked.plain("beta", 1))
    bias = asked.at(asked.read(added)) if added else None
    computed = alpha * float((inputs * weights).sum()) + (beta * bias if bias is not None and beta else 0.0)
    return DenseStep(
        op="dense",
        title=f"dense, {counted(len(inputs), 'input')}",
        formula=_formula(bias, alpha, beta),
        reads=asked.window(x, x_index),
        inputs=inputs,
        weights=weights,
        bias=bias,
        alpha=alpha,
        beta=beta,
        weights_read=_made(asked, weight, weight_index),
        computed=computed,
        **asked.own,
    )


def _formula(bias: float | None, alpha: float, beta: float) -> str:
    total = "Σ w·x" if alpha == 1 else f"{alpha:g} · Σ w·x"
    if bias is None:
        return total
    return f"{total} + b" if beta == 1 else f"{total} + {beta:g} · b"


def _made(asked: Asked, weight: Read, index: tuple[Index, ...]) -> Window | None:
    return None if weight.node is None else asked.window(weight, index)


def _row(asked: Asked, left: Read) -> tuple[Index, ...]:
    """Of the left factor (…, rows, inner) what the unit reads."""
    inner = tuple(range(left.shape[-1]))
    if asked.node.op == "linear":
        return (*((at,) for at in asked.index[:-1]), inner)
    before = asked.index[: len(left.shape) - 1]
    return (*((at,) for at in before), inner)


def _column(asked: Asked, right: Read) -> tuple[Index, ...]:
    """Of the right factor (…, inner, columns); of `linear` it is (columns, inner)."""
    if asked.node.op == "linear":
        return ((asked.index[-1],), tuple(range(right.shape[-1])))
    if len(right.shape) == 1:
        return (tuple(range(right.shape[0])),)
    before = asked.index[: len(right.shape) - 2]
    return (*((at,) for at in before), tuple(range(right.shape[-2])), (asked.index[-1],))
