"""A CUDA device that is not there: everything runs on the CPU, under the rules of CUDA.

Tensors that were moved to ``cuda`` are remembered by their storage. Code sees ``tensor.device`` as
on a GPU, so it takes the paths that it would take there. What CUDA refuses is refused: operands on
two devices, ``numpy()`` of a tensor on the device, functions without a kernel for half precision,
a generator of the CPU. Every wait of the host for the device is counted, with the place in the
package that causes it. A copy to the host that is not waited for must not be read before the device
has been.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["DEVICE", "FakeDevice", "fake_device"]

DEVICE = torch.device("cuda", 0)
_CPU = torch.device("cpu")

# Functions of torch that have no kernel for half precision on CUDA.
_FULL_PRECISION_ONLY = {
    torch.linalg.solve,
    torch.linalg.inv,
    torch.linalg.cholesky,
    torch.linalg.qr,
    torch.linalg.svd,
    torch.linalg.lstsq,
    torch.linalg.eigh,
    torch.cholesky_solve,
    torch.lu_solve,
    torch.histc,
    torch.quantile,
}
# Functions that make a tensor from nothing: on the CPU, unless they are told otherwise.
_FACTORIES = {
    *(torch.arange, torch.as_tensor, torch.empty, torch.eye, torch.from_numpy, torch.full),
    *(torch.linspace, torch.meshgrid, torch.ones, torch.rand, torch.randint, torch.randn),
    *(torch.randperm, torch.tensor, torch.zeros),
}
_ATEN = torch.ops.aten
# Operators whose result has a size or a value that the host has to wait for.
_WAITING = {
    _ATEN._local_scalar_dense: "item",
    _ATEN.nonzero: "nonzero",
    _ATEN.masked_select: "masked_select",
    _ATEN._unique2: "unique",
    _ATEN.unique_dim: "unique",
    _ATEN.unique_consecutive: "unique",
    _ATEN.equal: "equal",
}
_DEVICE_OF = Tensor.device.__get__
_IS_CUDA = Tensor.is_cuda.__get__  # type: ignore[attr-defined]
_READERS = ("item", "tolist", "__bool__", "__int__", "__float__", "__index__")
# Methods of tensors with a rule of their own, by name.
_OWN = {
    **dict.fromkeys(_READERS, "_read"),
    **{"to": "_to", "cuda": "_cuda", "cpu": "_cpu"},
    **{"numpy": "_numpy", "__array__": "_numpy"},
    **{"new_tensor": "_new_tensor", "__deepcopy__": "_deepcopy"},
}
_CONVOLUTIONS = {_ATEN.conv2d, _ATEN.convolution}
_COPIES = {_ATEN.copy_, _ATEN._to_copy, _ATEN.set_}
_PACKAGES = ("vostrack", "online_finetune", "refine", "eval")


class FakeDevice:
    """What is on the device, and how often the host waited for it.

    Attributes:
        waits: how often the host waited, by kind and place, such as
            ``"tolist in vostrack.tracking.tracker._presence"``.
        uploads: how many tensors were moved to the device.
        on_the_way: tensors that were copied to the host and may not have arrived.
    """

    def __init__(self) -> None:
        self.waits: Counter[str] = Counter()
        self.uploads = 0
        self.on_the_way: dict[int, Tensor] = {}
        self.current: Callable[..., Any] | None = None
        self._on: dict[int, StorageWeakRef] = {}
        self._either: dict[int, StorageWeakRef] = {}

    def holds(self, value: object) -> bool:
        """Tell whether a value is a tensor on the device."""
        return isinstance(value, Tensor) and _key(value) in self._on

    def on_either(self, tensor: Tensor) -> bool:
        """Tell whether a tensor was made inside of torch, for whatever it is needed with."""
        return _key(tensor) in self._either

    def put(self, result: Any) -> Any:
        """Note that the tensors of a result are on the device."""
        return self._note(result, self._on)

    def put_on_either(self, result: Any) -> Any:
        """Note that the tensors of a result go with tensors of the device and of the CPU."""
        return self._note(result, self._either)

    def take_off(self, result: Any) -> Any:
        """Note that the tensors of a result are on the CPU."""
        return self._note(result, None)

    def _note(self, result: Any, place: dict[int, StorageWeakRef] | None) -> Any:
        for tensor in _tensors(result):
            for notes in (self._on, self._either):
                notes.pop(_key(tensor), None)
            if place is not None:
                # The reference keeps the key from being used for another storage.
                storage = tensor.untyped_storage()
                place[_key(tensor)] = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
        return result

    def wait(self, kind: str) -> None:
        """Count a wait of the host."""
        self.arrive()
        self.waits[f"{kind} in {_place()}"] += 1

    def arrive(self, *_: object) -> None:
        """Note that the device has finished, and all copies with it."""
        self.on_the_way.clear()

    def check_arrived(self, tensor: Tensor) -> None:
        """Refuse to read a copy before the device has been waited for."""
        if _key(tensor) in self.on_the_way:
            raise RuntimeError(f"{_place()} reads a copy that may not have arrived")


def _key(tensor: Tensor) -> int:
    with torch._C.DisableTorchFunction():
        return int(tensor.untyped_storage()._cdata)


def _tensors(values: Any) -> list[Tensor]:
    """Return the tensors among nested arguments or results."""
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, dict):
        values = values.values()
    elif not isinstance(values, list | tuple):
        return []
    return [tensor for value in values for tensor in _tensors(value)]


def _place() -> str:
    """Return the innermost function of the package that is running."""
    frame = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] in _PACKAGES:
            return f"{module}.{frame.f_code.co_name}"
        frame = frame.f_back  # type: ignore[assignment]
    return "a test"


class _Functions(TorchFunctionMode):
    """The rules at the level of Python: devices by name, and copies to the host."""

    def __init__(self, device: FakeDevice) -> None:
        super().__init__()
        self._device = device

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        device, before = self._device, self._device.current
        device.current = func
        try:
            own = _OWN.get(getattr(func, "__name__", ""))
            if own is not None and args and isinstance(args[0], Tensor):
                return getattr(self, own)(func, *args, **kwargs)
            if func in (_DEVICE_OF, _IS_CUDA):
                held = device.holds(args[0])
                return held if func == _IS_CUDA else DEVICE if held else _CPU
            self._check_types(func, args, kwargs)
            return self._made(func, args, kwargs)
        finally:
            device.current = before

    def _check_types(self, func: Callable[..., Any], args: Any, kwargs: Any) -> None:
        halves = (torch.bfloat16, torch.float16)
        if func in _FULL_PRECISION_ONLY:
            for tensor in _tensors((args, kwargs)):
                if tensor.dtype in halves:
                    name = getattr(func, "__name__", func)
                    raise RuntimeError(f"{name} is not implemented for {tensor.dtype}")

    def _made(self, func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Call a function that may be told on which device its result is to be."""
        asked = kwargs.get("device")
        on = asked is not None and torch.device(asked).type == "cuda"
        if kwargs.get("generator") is not None and (
            on or any(map(self._device.holds, _tensors(args)))
        ):
            raise RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")
        if asked is None:
            return func(*args, **kwargs)
        kwargs["device"] = _CPU
        result = func(*args, **kwargs)
        if on:
            self._device.uploads += 1
            return self._device.put(result)
        return self._device.take_off(result)

    def _to(self, func: Callable[..., Any], tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        target = kwargs.get("device", args[0] if args else None)
        if isinstance(target, Tensor):
            args = (DEVICE if self._device.holds(target) else _CPU, target.dtype, *args[1:])
            target = args[0]
        if target is None or isinstance(target, torch.dtype):
            return func(tensor, *args, **kwargs)
        on, goes_on = self._device.holds(tensor), torch.device(target).type == "cuda"
        if "device" in kwargs:
            kwargs["device"] = _CPU
        else:
            args = (_CPU, *args[1:])
        if on == goes_on:
            return func(tensor, *args, **kwargs)
        waits = not kwargs.get("non_blocking")
        return self._moved(func(tensor, *args, **{**kwargs, "copy": True}), goes_on, waits)

    def _cuda(self, func: Callable[..., Any], tensor: Tensor, *_: Any, **__: Any) -> Any:
        return self._to(Tensor.to, tensor, DEVICE)

    def _cpu(self, func: Callable[..., Any], tensor: Tensor, *_: Any, **__: Any) -> Any:
        return self._to(Tensor.to, tensor, _CPU)

    def _moved(self, result: Tensor, on: bool, waits: bool) -> Tensor:
        if on:
            self._device.uploads += 1
            return self._device.put(result)  # type: ignore[no-any-return]
        if waits:
            self._device.wait("cpu")
        else:
            self._device.on_the_way[_key(result)] = result
        return self._device.take_off(result)  # type: ignore[no-any-return]

    def _numpy(self, func: Callable[..., Any], tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        if self._device.holds(tensor):
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        self._device.check_arrived(tensor)
        return func(tensor, *args, **kwargs)

    # Some readers reach no operator, others an operator that is hidden in inference mode.
    def _read(self, func: Callable[..., Any], tensor: Tensor) -> Any:
        if self._device.holds(tensor):
            self._device.wait(func.__name__.strip("_"))
        self._device.check_arrived(tensor)
        return func(tensor)

    def _new_tensor(
        self, func: Callable[..., Any], tensor: Tensor, *args: Any, **kwargs: Any
    ) -> Any:
        where = DEVICE if self._device.holds(tensor) else _CPU
        return self._made(func, (tensor, *args), {"device": where, **kwargs})

    def _deepcopy(self, func: Callable[..., Any], tensor: Tensor, memo: Any) -> Any:
        result = func(tensor, memo)
        return self._device.put(result) if self._device.holds(tensor) else result


class _Operators(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The rules at the level of operators, those of the backward pass included."""

    def __init__(self, device: FakeDevice) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._device = device

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        packet, device = func.overloadpacket, self._device
        tensors = _tensors((args, kwargs))
        on = [t for t in tensors if device.holds(t)]
        if on and packet not in _COPIES:
            self._check_devices(func, args, kwargs)
        if on:
            self._count_waits(packet, args)
        result = _computed(func, args, kwargs)
        if packet is _ATEN.copy_:
            self._copied(args[0], args[1])
        elif on:
            device.put(result)
        elif self._made_inside(tensors):
            device.put_on_either(result)
        return result

    def _made_inside(self, tensors: list[Tensor]) -> bool:
        """Tell whether torch makes a tensor for its own needs, from nothing or from such ones."""
        device = self._device
        if tensors:
            return all(map(device.on_either, tensors))
        return device.current is not None and device.current not in _FACTORIES

    def _check_devices(self, func: Any, args: Any, kwargs: Any) -> None:
        name = func.overloadpacket.__name__
        if name == "index":  # with indices of the CPU, too
            args = args[:1]
        elif name.startswith(("index_put", "_index_put")):
            args = (args[0], args[2])
        for tensor in _tensors((args, kwargs)):
            known = self._device.holds(tensor) or self._device.on_either(tensor)
            if not known and tensor.dim() > 0:
                raise RuntimeError(
                    "Expected all tensors to be on the same device, but found at least two "
                    f"devices, cuda:0 and cpu! ({name}, a tensor {tuple(tensor.shape)})"
                )

    def _count_waits(self, packet: Any, args: Any) -> None:
        counted = getattr(self._device.current, "__name__", "") in _READERS
        if packet in _WAITING and not counted:
            self._device.wait(_WAITING[packet])
        if packet.__name__.startswith(("index", "_index_put")) and any(
            t.dtype in (torch.bool, torch.uint8) and self._device.holds(t) for t in _indices(args)
        ):
            self._device.wait("boolean index")

    def _copied(self, target: Tensor, source: Tensor) -> None:
        device = self._device
        if device.holds(source) and device.on_either(target):
            device.put(target)
        elif device.holds(source) and not device.holds(target):
            device.wait("copy_")


def _computed(func: Any, args: Any, kwargs: Any) -> Any:
    """Call an operator. A convolution in bfloat16 is computed in float32 and rounded.

    Where bfloat16 is emulated, it takes several times as long.
    """
    if func.overloadpacket not in _CONVOLUTIONS or args[0].dtype != torch.bfloat16:
        return func(*args, **kwargs)
    wider = [x.float() if isinstance(x, Tensor) else x for x in args]
    return func(*wider, **kwargs).bfloat16()


def _indices(args: Any) -> Iterable[Tensor]:
    return _tensors(args[1]) if len(args) > 1 and isinstance(args[1], list | tuple) else []


@contextmanager
def fake_device() -> Iterator[FakeDevice]:
    """Have a CUDA device in the block."""
    device = FakeDevice()
    autocast, fork_rng = torch.autocast, torch.random.fork_rng

    def autocast_on_cpu(_kind: str, **options: Any) -> torch.autocast:
        return autocast("cpu", **options)

    def fork_rng_of_the_cpu(devices: Any = (), **options: Any) -> Any:
        return fork_rng(devices=[], **options)

    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "device_count", lambda: 1)
        patch.setattr(torch.cuda, "synchronize", device.arrive)
        patch.setattr(torch, "autocast", autocast_on_cpu)
        patch.setattr(torch.random, "fork_rng", fork_rng_of_the_cpu)
        patch.setenv("VOSTRACK_SPN", "reference")
        stack.enter_context(_Operators(device))
        stack.enter_context(_Functions(device))
        yield device
