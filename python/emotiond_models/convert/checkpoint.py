"""Reading PyTorch checkpoints without running what is in them.

A `.pt` file is a pickle, and unpickling runs whatever the file says. HSEmotion publishes whole models, which PyTorch's
own safe reader (`weights_only=True`) refuses. Here such a file is read as data: tensors are rebuilt, every class that
the file names becomes an inert stand-in that only remembers its attributes, and nothing it names is imported or called.
That also makes the timm version the file was written with irrelevant.
"""

import collections
import pickle
import types
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from . import ConversionError

# 1.13.0, which Debian 12 has, unpickles with Python's own module whatever it is given.
_IGNORES_PICKLE_MODULE = torch.__version__.startswith("1.")
# All that a pickled module needs to come back as data: containers and PyTorch's tensor rebuilders.
_ALLOWED = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
    ("torch", "Size"): torch.Size,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
}
# Wrappers that training scripts put around the tensors.
_ENVELOPES = ("model_state_dict", "state_dict", "model")
# Settings that change the result and that no tensor's shape betrays.
_SETTINGS = ("eps", "stride", "groups")


class _Inert:
    """Stands in for any object of a class we do not import; keeps its attributes, does nothing."""

    def __new__(cls, *_args, **_kwargs):
        return object.__new__(cls)

    def __init__(self, *_args, **_kwargs):
        pass

    def __call__(self, *_args, **_kwargs):
        return _Inert()

    def __setstate__(self, state):
        if isinstance(state, tuple) and len(state) == 2:
            state = {**(state[0] or {}), **(state[1] or {})}
        if isinstance(state, dict):
            self.__dict__.update(state)

    def __setitem__(self, _key, _value):
        pass

    def append(self, _value):
        pass

    def extend(self, _values):
        pass


class _DataUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        return type(name, (_Inert,), {"__module__": f"{module} (not imported)"})


# What `torch.load` asks of a pickle module.
_data_pickle = types.SimpleNamespace(
    __name__="data_pickle",
    Unpickler=_DataUnpickler,
    load=lambda file, **options: _DataUnpickler(file, **options).load(),
)


@dataclass
class Checkpoint:
    """Tensors by name, and the settings of each layer where the file holds whole modules."""

    path: Path
    tensors: dict[str, Tensor]
    settings: dict[str, dict] = field(default_factory=dict)
    whole_model: bool = False


def read(path: Path) -> Checkpoint:
    """Read a state dict or a whole pickled model. Raises `ConversionError` if the file is neither."""
    if not path.is_file():
        raise ConversionError(f"there is no file {path}")
    if _is_torchscript(path):
        raise ConversionError(f"{path} is TorchScript: give the .pt or .onnx file that it was made from")
    try:
        return _from_object(path, torch.load(path, map_location="cpu", weights_only=True))
    except pickle.UnpicklingError:
        pass  # a whole model, or no checkpoint at all: read it as data
    except (RuntimeError, EOFError, ValueError) as error:
        raise ConversionError(f"{path} is not a PyTorch checkpoint (an interrupted download?): {error}") from error
    if _IGNORES_PICKLE_MODULE:
        raise ConversionError(
            f"{path} is not a PyTorch checkpoint of tensors alone, and PyTorch {torch.__version__} would run whatever "
            "else is in it: use PyTorch 2 (pip install --require-hashes -r python/requirements.txt)"
        )
    try:
        # Safe despite the flag: _DataUnpickler resolves no name outside _ALLOWED.
        loaded = torch.load(path, map_location="cpu", weights_only=False, pickle_module=_data_pickle)
    except Exception as error:  # a damaged pickle can fail in any way
        raise ConversionError(f"{path} is not a PyTorch checkpoint (an interrupted download?): {error}") from error
    return _from_object(path, loaded)


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.split("/")[-1] == "constants.pkl" for name in archive.namelist())


def _from_object(path: Path, loaded) -> Checkpoint:
    for envelope in _ENVELOPES:
        if isinstance(loaded, dict) and isinstance(loaded.get(envelope), (dict, _Inert)):
            loaded = loaded[envelope]
    if isinstance(loaded, dict):
        tensors = {name: value for name, value in loaded.items() if isinstance(value, Tensor)}
        checkpoint = Checkpoint(path, tensors)
    else:
        checkpoint = Checkpoint(path, {}, whole_model=True)
        _collect(loaded, "", checkpoint)
    if not checkpoint.tensors:
        raise ConversionError(f"{path} holds no network: found a {type(loaded).__name__} without tensors")
    return checkpoint


def _collect(module, prefix: str, checkpoint: Checkpoint) -> None:
    """Walk a pickled module tree as `state_dict()` would."""
    attributes = getattr(module, "__dict__", {})
    for table in ("_parameters", "_buffers"):
        for name, value in (attributes.get(table) or {}).items():
            if isinstance(value, Tensor):
                checkpoint.tensors[prefix + name] = value
    known = {name: attributes[name] for name in _SETTINGS if name in attributes}
    if known:
        checkpoint.settings[prefix.rstrip(".")] = known
    for name, child in (attributes.get("_modules") or {}).items():
        _collect(child, f"{prefix}{name}.", checkpoint)


def fill(network: nn.Module, head: str, checkpoint: Checkpoint, ignore=None) -> None:
    """Copy the tensors into `network`, all of them or none.

    `head` is the path of the network's last layer, which some files wrap in a one-element sequence; `ignore` matches
    tensors that the published class creates but never uses. Raises `ConversionError` naming what does not fit.
    """
    wanted = network.state_dict()
    given = {}
    for name, tensor in checkpoint.tensors.items():
        name = _plain(name, head)
        if not name.endswith("num_batches_tracked") and not (ignore and ignore.search(name)):
            given[name] = tensor
    wanted_names = {name for name in wanted if not name.endswith("num_batches_tracked")}
    complaints = [
        _listed("missing", sorted(wanted_names - given.keys())),
        _listed("unexpected", sorted(given.keys() - wanted_names)),
        _listed(
            "of another shape",
            [
                f"{name} {tuple(given[name].shape)} instead of {tuple(wanted[name].shape)}"
                for name in sorted(wanted_names & given.keys())
                if given[name].shape != wanted[name].shape
            ],
        ),
        _listed("set otherwise", _differing_settings(network, head, checkpoint)),
    ]
    complaints = [complaint for complaint in complaints if complaint]
    if complaints:
        raise ConversionError(
            f"{checkpoint.path} does not hold this network ({'; '.join(complaints)}). "
            "Is it the right file, or does it need another --network?"
        )
    network.load_state_dict(given, strict=False)


def _plain(name: str, head: str) -> str:
    name = name.removeprefix("module.")
    return name.replace(f"{head}.0.", f"{head}.") if name.startswith(f"{head}.0.") else name


def _listed(what: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{what}: {', '.join(names[:3])}{more}"


def _differing_settings(network: nn.Module, head: str, checkpoint: Checkpoint) -> list[str]:
    modules = dict(network.named_modules())
    differing = []
    for path, settings in checkpoint.settings.items():
        ours = modules.get(_plain(f"{path}.", head).rstrip("."))
        for name, theirs in settings.items():
            mine = getattr(ours, name, theirs)
            if isinstance(theirs, (int, float, tuple)) and mine != theirs:
                differing.append(f"{path}.{name} {theirs} instead of {mine}")
    return differing
