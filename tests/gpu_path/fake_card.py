"""A CUDA device that is not there: its tensors have shapes, types and strides, no numbers, and whoever waits for it is noted.

Tensors on the host are real and are computed with; those on the card are torch's fake ones. So everything runs as on a GPU, the
trainer's loop with its log among it, but for the numbers: where they come back to the host they are 0, truths true.
"""

from __future__ import annotations

import contextlib
import traceback
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.autograd.graph
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DynamicOutputShapeException, FakeTensor, FakeTensorMode
from torch.utils import _pytree as pytree

import bottomup

aten = torch.ops.aten
CARD = torch.device("cuda:0")
PACKAGE = Path(bottomup.__file__).parent
_META = torch.device("meta")
_READS = (aten._local_scalar_dense.default, aten.equal.default)  # their results are numbers on the host
# To fake tensors; they change what is given, and return nothing.
_NOT_KNOWN = (aten._fused_sgd_.default, aten._fused_sgd_.tensor_lr)
# Python's methods that ask for a tensor's device and make it the current one, for which torch 2.9 wants a driver.
_GUARDED = (
    "__bool__", "__float__", "__getitem__", "__index__", "__int__", "__invert__", "__setitem__",
    "contiguous", "copy_", "new_tensor", "nonzero",
)  # fmt: skip
_INDEXED = {aten.index.Tensor: 1, aten.index_put.default: 1, aten.index_put_.default: 1, aten._index_put_impl_.default: 1}


class FakeCard(FakeTensorMode):
    """torch's fake mode, of the CUDA device alone; ``waits`` are the places in bottomup, in order, where the host waited for it.

    What a wait is is what ``torch.cuda.set_sync_debug_mode`` says: a number or a truth that is read, a shape that depends on
    numbers, and every copy between host and device that is not ``non_blocking``.

    torch's autograd, which asks streams of a card, cannot run with the CUDA build's where there is none. As it asks for devices by
    another way than Python does, it is told that the tensors are on "meta", where it needs no streams. So are those methods of
    Python's that make a tensor's device the current one: of torch 2.9 they want a driver, of later versions none.
    """

    avoid_device_init = True
    device = CARD

    def __init__(self) -> None:
        super().__init__(allow_non_fake_inputs=True)
        self.fake_tensor_converter.set_tensor_memo = lambda *_: None  # it would keep modules from moving
        self.waits: list[str] = []
        self.calls = 0
        self._aside = False  # whether autograd is asking
        self._made: set[int] = set()  # tensors that autograd is about to take note of
        self._kept: list[object] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        """Run an operator of the card's tensors on fake ones, any other as it is."""
        if func is torch.ops.prim.device.default:
            return self._device_of(args[0])
        options = dict(kwargs or {})
        if options.get("device") == _META:
            options["device"] = CARD
        tensors = [leaf for leaf in pytree.tree_leaves((args, options)) if isinstance(leaf, Tensor)]
        if not any(isinstance(tensor, FakeTensor) for tensor in tensors) and not _is_card(options.get("device")):
            return func(*args, **options)
        self.calls += 1
        out = self._run(func, types, args, options, tensors)
        follows = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
        self._made = {id(leaf) for leaf in pytree.tree_leaves(out) if isinstance(leaf, FakeTensor)} if follows else set()
        return out

    def _device_of(self, tensor: FakeTensor) -> torch.device:
        if self._aside or id(tensor) in self._made:
            self._made.discard(id(tensor))
            return _META
        return tensor.fake_device

    def _run(self, func: Any, types: Any, args: Any, options: dict[str, Any], tensors: list[Tensor]) -> Any:
        if func in _NOT_KNOWN:
            return None
        if func in _READS:
            self.wait(func)
            return func is aten.equal.default or tensors[0].dtype == torch.bool or 0
        if any(isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8) for index in _indices(func, args)):
            self.wait(func)  # of where they are true
        if any(isinstance(index, Tensor) and not isinstance(index, FakeTensor) for index in _indices(func, args)):
            self.wait(func)  # sent from the host
        if func is aten._to_copy.default and (crossing := _crossing(tensors[0], options.get("device"))):
            if not options.get("non_blocking"):
                self.wait(func)
            return self._crossed(tensors[0], options, to_card=crossing == "to card")
        if func in (aten.copy_.default, aten.copy.default) and _crossing(tensors[1], tensors[0].device):
            if not (len(args) > 2 and args[2]) and not options.get("non_blocking"):
                self.wait(func)
            if not isinstance(tensors[0], FakeTensor):
                return tensors[0].zero_()
        try:
            return super().__torch_dispatch__(func, types, args, options)
        except DynamicOutputShapeException:
            self.wait(func)
            raise

    def _crossed(self, tensor: Tensor, options: dict[str, Any], to_card: bool) -> Tensor:
        """What a copy between host and card gives: of the same shape, strides as asked for."""
        shape = torch.empty_strided(tensor.shape, tensor.stride(), dtype=options.get("dtype") or tensor.dtype, device=_META)
        made = torch.empty_like(shape, memory_format=options.get("memory_format") or torch.preserve_format)
        if not to_card:
            return torch.full(made.shape, made.dtype == torch.bool, dtype=made.dtype)
        placed = {"dtype": made.dtype, "device": CARD}
        return super().__torch_dispatch__(aten.empty_strided.default, (), (made.shape, made.stride()), placed)  # type: ignore[no-any-return]

    def wait(self, what: object) -> None:
        """Note that the host waits, and where."""
        own = [frame for frame in traceback.extract_stack() if Path(frame.filename).is_relative_to(PACKAGE)]
        place = f"{Path(own[-1].filename).relative_to(PACKAGE)}:{own[-1].lineno}" if own else "elsewhere"
        self.waits.append(f"{place} {what}")

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Nothing in this context may wait."""
        before = len(self.waits)
        yield
        assert not self.waits[before:], "the host waits for the card:\n" + "\n".join(sorted(set(self.waits[before:])))

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Autograd is at work: it, and whatever else asks for devices by its way, is told of "meta"."""
        before, self._aside = self._aside, True
        try:
            yield
        finally:
            self._aside = before

    def adopt(self, module: nn.Module) -> None:
        """Let autograd take note of a module's weights, once they are where they stay."""
        with self.aside():
            self._kept += [torch.autograd.graph.get_gradient_edge(p).node for p in module.parameters() if p.requires_grad]


def _is_card(device: Any) -> bool:
    return device is not None and torch.device(device).type == "cuda"


def _crossing(tensor: Tensor, device: Any) -> str | None:
    """Which way a copy of a tensor to a device goes between host and card, if it does."""
    if device is None or _is_card(device) == isinstance(tensor, FakeTensor):
        return None
    return "to card" if _is_card(device) else "to host"


def _indices(func: Any, args: Any) -> list[Any]:
    return list(args[1]) if func in _INDEXED else []


def _unguarded(card: FakeCard, name: str) -> Any:
    """A patch: a method that is told of "meta", of which it makes nothing current."""
    method = getattr(Tensor, name)

    def run(*args: Any, **options: Any) -> Any:
        with card.aside():
            return method(*args, **options)

    return mock.patch.object(FakeTensor, name, run)


@contextlib.contextmanager
def fake_card() -> Iterator[FakeCard]:
    """A card that is not there, for what runs in this context."""
    card = FakeCard()
    backward, select = torch.autograd.graph._engine_run_backward, torch._C._select_conv_backend

    def run_backward(*args: Any, **options: Any) -> Any:
        with card.aside():
            return backward(*args, **options)

    def select_backend(*args: Any, **options: Any) -> Any:
        """That of cuDNN for 16 bits, too, which it takes on every card that knows bf16."""
        wide = [arg.float() if isinstance(arg, Tensor) else arg for arg in args]
        return select(*wide, **{name: arg.float() if isinstance(arg, Tensor) else arg for name, arg in options.items()})

    def synchronise(*_: object) -> None:
        card.wait("synchronize")

    patches = (
        mock.patch.object(torch.autograd.graph, "_engine_run_backward", run_backward),
        mock.patch.object(torch.autograd, "_engine_run_backward", run_backward),
        mock.patch.object(torch._C, "_select_conv_backend", select_backend),
        mock.patch.object(torch.cuda.amp.common, "amp_definitely_not_available", return_value=False),
        mock.patch.object(torch.cuda, "is_bf16_supported", return_value=True),
        *(_unguarded(card, name) for name in _GUARDED),
        # A module's weights on the card are fake tensors, as later versions than torch 2.9 have it without being told.
        mock.patch.object(torch.__future__, "get_overwrite_module_params_on_conversion", return_value=True),
        mock.patch.object(FakeTensor, "tolist", lambda tensor: tensor.cpu().tolist()),
        mock.patch.object(torch.cuda, "synchronize", synchronise),
        mock.patch.object(torch.cuda, "current_stream", return_value=mock.Mock(synchronize=synchronise)),
    )
    with contextlib.ExitStack() as stack, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Accessing the data pointer of FakeTensor")  # as copy.deepcopy does
        for patch in patches:
            stack.enter_context(patch)
        stack.enter_context(card)
        yield card
