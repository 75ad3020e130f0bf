"""Storages: memory that tensors share, and the pending value that it will hold."""

from __future__ import annotations

import itertools
from math import prod
from sys import getrefcount
from typing import Any

import numpy as np

from ..compiler.flight import flights, land, landed
from ..compiler.pooled import pooled
from ..dtypes import dtype
from .types import Ty, ty

OWN_REFERENCES = 3  # to a buffer's owner when only the storage knows it: by ``buf``, ``owner`` and the count itself
tokens = itertools.count(1)  # for ``Storage.w``: no value comes twice
next_token = tokens.__next__
INFERENCE = -(1 << 62)  # where the versions of memory that is made in inference mode begin: nobody is shown them
threads: list[Any] = []  # ``graph.epoch.threads``
inferred = [False]  # has any thread been in inference mode?


class Storage:
    """Memory of a tensor and its views.

    ``h`` is the node of the current value in the epoch ``epoch``, laid out as ``ty`` says, or None;
    ``raw`` is the realised value, a flat NumPy array, which a run may still read and write (``compiler.flight``);
    ``seen`` is the same once none writes it, to be read at once; ``buf`` once none goes on, to do with what one likes.
    ``w`` changes with the value and with what represents it: a tensor's cached node holds while its own ``_w`` is
    equal. ``version`` is PyTorch's version counter, which writes through ``.data`` and NumPy do not move; below zero it
    says that the memory was made in inference mode.
    """

    __slots__ = ("epoch", "h", "notes", "owner", "pending", "raw", "ty", "version", "w")

    # There is no constructor: a class without one is called in half the time.
    ty: Ty
    h: Any
    raw: np.ndarray | None
    w: int
    version: int
    epoch: Any
    pending: bool  # in its epoch's list of pending storages
    owner: Any  # the object whose memory NumPy may write, while shared
    notes: Notes | None  # what few storages need, by ``note``

    @staticmethod
    def of(t: Ty, h: Any = None, buf: np.ndarray | None = None) -> Storage:
        """A storage that holds a node's value or an array."""
        s = Storage()
        s.ty = t
        s.h = h
        s.raw = buf
        s.w = 0
        s.version = threads[0].epoch.inference
        s.epoch = None
        s.pending = False
        s.owner = None
        s.notes = None
        return s

    @property
    def buf(self) -> np.ndarray | None:
        """The realised value, which no run reads or writes."""
        if flights:
            land()
        return self.raw

    @buf.setter
    def buf(self, value: np.ndarray | None) -> None:
        self.raw = value

    @property
    def seen(self) -> np.ndarray | None:
        """The realised value, which no run writes."""
        return landed(self.raw) if flights else self.raw

    def note(self) -> Notes:
        """The storage's notes, made when first needed."""
        if self.notes is None:
            self.notes = Notes()
        return self.notes

    @property
    def shared(self) -> bool:
        """May somebody write this memory through NumPy? Ends by itself when the last outside array dies."""
        if self.owner is None:
            return False
        if self.owner is not Permanent and getrefcount(self.owner) <= OWN_REFERENCES + (id(self.owner) in pooled):
            self.owner = None
            return False
        return True

    def share(self) -> None:
        """Notes that the buffer has become visible outside.

        References to its owner tell who sees it only if all arrays between the two have the owner as their base:
        another array's memory, which ``as_strided`` reaches through a helper, counts as visible for good.
        """
        notes = self.note()
        notes.checked = None
        notes.outside = True
        owner: Any = self.raw
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        self.owner = owner if owner.base is None else Permanent


class Notes:
    """What is known of a storage that was written in place or shared."""

    __slots__ = ("checked", "forms", "kept", "outside", "parted", "source", "token", "written")

    def __init__(self) -> None:
        self.checked: Any = None  # the buffer whose values were last looked at, for what, and what came of it
        self.forms: dict[Any, int] | None = None  # how many of what follows its gradients were new (``ops.new_forms``)
        self.kept: Any = None  # the node of its leaf, if it keeps it from epoch to epoch
        self.outside = False  # has NumPy ever seen it? Then it never becomes longer
        self.token = 0  # what ``w`` is while that node stands for the value
        self.parted = -1  # the last epoch in which part of it was a leaf
        self.source: Any = None  # what a shared storage's last leaf held
        self.written: Any = None  # place of the user's last in-place write


def refuse_inference_write(s: Storage) -> None:
    """Raises outside of inference mode if the memory was made in it."""
    if s.version < 0 and not threads[0].epoch.inference:
        raise RuntimeError(
            "Inplace update to inference tensor outside InferenceMode is not allowed.You can make a clone to get a "
            "normal tensor before doing inplace update.See https://github.com/pytorch/rfcs/pull/17 for more details."
        )


def refuse_inference_saved(s: Storage) -> None:
    """Raises if the memory, which a backward pass would need, was made in inference mode."""
    if s.version < 0:
        raise RuntimeError(
            "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in "
            "computation tracked by autograd. To work around this, you can make a clone to get a normal tensor and use "
            "it in autograd, or use `torch.no_grad()` instead of `torch.inference_mode()`."
        )


def out_of_memory(error: MemoryError) -> RuntimeError:
    """PyTorch's error for memory that the system does not give."""
    wanted = getattr(error, "shape", None)
    tried = "" if wanted is None else f": you tried to allocate {prod(wanted) * error.dtype.itemsize} bytes"  # type: ignore[attr-defined]
    return RuntimeError(f"DefaultCPUAllocator: can't allocate memory{tried}. Error code 12 (Cannot allocate memory)")


def lost(s: Storage) -> RuntimeError:
    """The error for a storage that is neither pending nor realised."""
    if s.ty.meta:
        return NotImplementedError("Cannot copy out of meta tensor; no data!")
    return RuntimeError("a tensor's memory was lost: its program failed before it was computed")


class Permanent:
    """Stands for an owner whose references cannot be counted."""


class VersionCounter:
    """A version of its own for tensors made by ``.data``, whose writes autograd must not see."""

    version = 0


def flat_type(numel: int, dt: dtype) -> Ty:
    """The type of a storage that is plain memory of ``numel`` elements."""
    return ty((numel,), dt)
