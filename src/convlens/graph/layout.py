"""What a tensor sees: which of its dimensions walks along which axis of the picture, and what each unit there reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from convlens.graph.factors import Dimension, Factor, Shape, axes_of, plain, size_of, split
from convlens.graph.fields import AxisField, UnitField


@dataclass(frozen=True)
class Sight:
    """The dimensions of a tensor, and one field for each axis of the picture.

    A field has as many units as the factors of its axis have together (one where nothing walks along it any more). The
    channels of a tensor are taken together: a unit sees what any of them does there. `uneven` channels see different
    things, so that some of them alone may see less.
    """

    dims: tuple[Dimension, ...]
    fields: tuple[AxisField, ...]
    uneven: bool = False

    @property
    def shape(self) -> Shape:
        return tuple(size_of(dim) for dim in self.dims)

    def with_field(self, axis: int, field: AxisField) -> Sight:
        return replace(self, fields=(*self.fields[:axis], field, *self.fields[axis + 1 :]))

    def with_dim(self, place: int, dim: Dimension) -> Sight:
        dims = list(self.dims)
        dims[place] = dim
        return replace(self, dims=tuple(dims))

    def places(self, axis: int) -> tuple[tuple[int, Factor], ...]:
        """Every factor of this axis, and the dimension that it is in; the longest steps first."""
        found = [(d, factor) for d, dim in enumerate(self.dims) for factor in dim if factor.axis == axis]
        return tuple(sorted(found, key=lambda one: -one[1].step))

    def read(self, place: int, first: np.ndarray, last: np.ndarray, scale: Fraction) -> Sight | None:
        """Dimension `place` anew: unit o reads first[o] to last[o], and `scale` multiplies the stride.

        None where it does not walk along one axis.
        """
        old, *inner = self.dims[place]
        axis = old.axis
        if axis is None or axes_of([tuple(inner)]):
            return None
        coarsest = self.places(axis)[0][1] == old
        field, sight = self.fields[axis], self
        if inner:  # (units, channels) as one dimension, as depth to space makes it
            sight = self.narrowed()
            field = sight.fields[axis]
            times = size_of(tuple(inner))
            field = field.repeated(times, (old.size, old.step), coarsest=coarsest)
            sight, old = sight._resized(old, old.size * times), old._replace(size=old.size * times)
        field = field.gather(first, last, scale, (old.size, old.step), coarsest=coarsest)
        new = old._replace(size=len(first))
        return sight._resized(old, new.size).with_dim(place, (new,)).with_field(axis, field)

    def _resized(self, old: Factor, size: int) -> Sight:
        """The factors that step over all of `old`, whose size becomes this."""
        span = old.size * old.step

        def fit(factor: Factor) -> Factor:
            over = factor.axis == old.axis and factor.step >= span and factor != old
            return factor._replace(step=factor.step // old.size * size) if over else factor

        return replace(self, dims=tuple(tuple(map(fit, dim)) for dim in self.dims))

    def mixed(self, places: Iterable[int], *, keep: bool, exact: bool = True) -> Sight:
        """Along these dimensions every unit now sees what all did; `keep` when they are still walked along.

        Not `exact` where it may see less.
        """
        chosen = set(places)
        axes = axes_of(self.dims[place] for place in chosen)
        sight = self
        for axis in axes:
            elsewhere = [factor for d, factor in self.places(axis) if d not in chosen and factor.size > 1]
            sight = sight._partly_mixed(axis, chosen, keep=keep) if elsewhere else sight._wholly_mixed(axis, keep=keep)
            if not exact and not self.fields[axis].whole:
                sight = sight.with_field(axis, replace(sight.fields[axis], exact=False))
        return sight

    def _wholly_mixed(self, axis: int, *, keep: bool) -> Sight:
        extent = len(self.fields[axis].low) if keep else 1
        sight = self.with_field(axis, self.fields[axis].mixed(extent))
        return sight if keep else replace(sight, dims=tuple(_without(dim, axis) for dim in self.dims))

    def _partly_mixed(self, axis: int, chosen: set[int], *, keep: bool) -> Sight:
        sight = self
        for place in chosen:
            for at in range(len(self.dims[place])):
                factor = sight.dims[place][at]
                if factor.axis != axis:
                    continue
                field = sight.fields[axis].mixed_along(factor.size, factor.step, keep=keep)
                sight = (sight if keep else sight._without_factor(place, at)).with_field(axis, field)
        return sight

    def _without_factor(self, place: int, at: int) -> Sight:
        factor = self.dims[place][at]
        sight = self._resized(factor, 1)
        dim = sight.dims[place]
        return sight.with_dim(place, (*dim[:at], Factor(factor.size), *dim[at + 1 :]))

    def at_most(self, axes: Iterable[int], *, keep: bool) -> Sight:
        """Along these axes every unit may see what any one did: how much of it really is, nobody says."""
        sight = self
        for axis in axes:
            sight = sight._wholly_mixed(axis, keep=keep)
            sight = sight.with_field(axis, replace(sight.fields[axis], exact=False))
        return sight

    def all_mixed(self, shape: Shape) -> Sight:
        """Nothing is known but that everything may be seen; the axes are kept where the shape is unchanged."""
        if self.shape == shape:
            return self.at_most(range(len(self.fields)), keep=True)
        sight = self.at_most(range(len(self.fields)), keep=False)
        return replace(sight, dims=tuple(plain(size) for size in shape))

    def fitted(self, shape: Shape) -> Sight:
        """The sight of one of several outputs, whose shapes may differ along dimensions that are no axis."""
        if self.shape == shape:
            return self
        if len(self.dims) != len(shape):
            return self.all_mixed(shape)
        changed = [d for d, dim in enumerate(self.dims) if size_of(dim) != shape[d]]
        sight = self.at_most(axes_of(self.dims[d] for d in changed), keep=False)
        return replace(sight, dims=tuple(plain(shape[d]) if d in changed else dim for d, dim in enumerate(sight.dims)))

    def viewed(self, shape: Shape) -> Sight:
        """The same elements in order under another shape."""
        dims, broken = split(self.dims, shape)
        sight = self.at_most(broken, keep=False)
        strides = dict(enumerate(field.stride for field in sight.fields))
        viewed = replace(sight, dims=tuple(_without_all(dim, broken) for dim in dims))
        for axis in axes_of(viewed.dims):
            before, after = (one.places(axis)[0][1].step for one in (sight, viewed))
            viewed = viewed.with_field(axis, replace(viewed.fields[axis], stride=strides[axis] * after / before))
        missing = axes_of(sight.dims) - axes_of(viewed.dims)
        return viewed.at_most({axis for axis in missing if len(viewed.fields[axis].low) > 1}, keep=False)

    def narrowed(self) -> Sight:
        """Some of the channels: what they see is at most what all do."""
        if not self.uneven:
            return self
        fields = tuple(field if field.whole else replace(field, exact=False) for field in self.fields)
        return replace(self, fields=fields)

    def of_unit(self, index: Shape) -> UnitField:
        """The unit at this index, one number for each dimension."""
        units = [0] * len(self.fields)
        for at, dim in zip(index, self.dims, strict=True):
            for factor in reversed(dim):
                at, digit = divmod(at, factor.size)
                if factor.axis is not None:
                    units[factor.axis] += digit * factor.step
        windows = tuple(field.ends(unit) for field, unit in zip(self.fields, units, strict=True))
        return UnitField(windows, all(field.exact for field in self.narrowed().fields))

    def coarse(self) -> Sight:
        """The units by position: what stands among the channels is mixed, of a split axis the longest steps are kept.

        What is repeated along an axis has as many units as there are places.
        """
        sight = self
        for place, dim in enumerate(self.dims):
            if len(self.dims) < 3:  # numbers without a place, each with what it saw
                break
            channels = place == 1 and len(self.dims) > 3 and len(axes_of([dim])) > 1
            if axes_of([dim]) and (channels or not _is_position(dim)):
                sight = sight.mixed([place], keep=False, exact=place == 1)
        for axis in axes_of(sight.dims):
            while len(found := sight.places(axis)) > 1:
                place, factor = found[-1]
                field = sight.fields[axis].mixed_along(factor.size, factor.step, keep=False)
                sight = sight._without_factor(place, sight.dims[place].index(factor)).with_field(axis, field)
            ((place, factor),) = sight.places(axis)
            inner = sight.dims[place][1:]
            if sight.dims[place][0] == factor and inner and not axes_of([inner]):
                sight = sight.narrowed()
                field = sight.fields[axis].repeated(size_of(inner), (factor.size, factor.step), coarsest=True)
                sight = sight.with_field(axis, field)
        return sight


def _is_position(dim: Dimension) -> bool:
    """(axis), (axis, repeated …) or (axis, axis …) as the positions of a flattened map; channels are anything else."""
    walks = [factor.axis is not None for factor in dim]
    return all(walks) or (walks[0] and not any(walks[1:]))


def _without(dim: Dimension, axis: int) -> Dimension:
    return tuple(Factor(factor.size) if factor.axis == axis else factor for factor in dim)


def _without_all(dim: Dimension, axes: set[int]) -> Dimension:
    for axis in axes:
        dim = _without(dim, axis)
    return dim
