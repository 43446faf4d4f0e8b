"""Checkpoints: every form is read, none is run."""

import os
import pickle
import zipfile

import pytest

from .needs import needed, torch_2

torch = needed("torch")

from emotiond_models.convert import ConversionError, checkpoint  # noqa: E402

from .tiny import Tiny  # noqa: E402


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    ours, theirs = a.state_dict(), b.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("legacy", [False, True])
def test_whole_model_is_read_as_data(tiny, tmp_path, legacy):
    torch_2("reading a whole model as data")
    path = tmp_path / "tiny.pt"
    torch.save(tiny, path, _use_new_zipfile_serialization=not legacy)
    found = checkpoint.read(path)
    empty = Tiny()
    checkpoint.fill(empty, "classifier", found)
    assert found.whole_model and same(empty, tiny)


def test_state_dict_in_an_envelope_of_a_parallel_model(tiny, tmp_path):
    path = tmp_path / "tiny.pth"
    tensors = {f"module.{name}": tensor for name, tensor in tiny.state_dict().items()}
    torch.save({"epoch": 9, "model_state_dict": tensors}, path)
    empty = Tiny()
    checkpoint.fill(empty, "classifier", checkpoint.read(path))
    assert same(empty, tiny)


def test_last_layer_may_stand_in_a_sequence(tiny, tmp_path):
    path = tmp_path / "tiny.pt"
    tensors = {name.replace("classifier.", "classifier.0."): t for name, t in tiny.state_dict().items()}
    torch.save(tensors, path)
    empty = Tiny()
    checkpoint.fill(empty, "classifier", checkpoint.read(path))
    assert same(empty, tiny)


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_code_in_a_pickle_does_not_run(tiny, tmp_path):
    tiny.trap = Hostile(tmp_path / "ran")
    path = tmp_path / "tiny.pt"
    torch.save(tiny, path)
    try:
        empty = Tiny()
        checkpoint.fill(empty, "classifier", checkpoint.read(path))
        assert same(empty, tiny)
    except ConversionError as error:  # by a PyTorch that would run it
        assert "use PyTorch 2" in str(error) and torch.__version__.startswith("1.")
    assert not (tmp_path / "ran").exists()


def test_a_plain_hostile_pickle_does_not_run(tmp_path):
    path = tmp_path / "bad.pt"
    path.write_bytes(pickle.dumps(Hostile(tmp_path / "ran")))
    with pytest.raises(ConversionError, match="bad.pt"):
        checkpoint.read(path)
    assert not (tmp_path / "ran").exists()


def test_another_network_is_refused_by_name(tmp_path):
    path = tmp_path / "other.pt"
    torch.save(Tiny(outputs=7).state_dict(), path)
    with pytest.raises(ConversionError, match=r"classifier.weight \(7, 8\) instead of \(10, 8\)"):
        checkpoint.fill(Tiny(), "classifier", checkpoint.read(path))


def test_a_missing_and_a_surplus_tensor_are_named(tiny, tmp_path):
    path = tmp_path / "other.pt"
    tensors = tiny.state_dict()
    tensors["stem.more"] = tensors.pop("stem.weight")
    torch.save(tensors, path)
    with pytest.raises(ConversionError, match="missing: stem.weight; unexpected: stem.more"):
        checkpoint.fill(Tiny(), "classifier", checkpoint.read(path))


def test_a_setting_that_shapes_do_not_betray_is_noticed(tiny, tmp_path):
    torch_2("reading a whole model as data")
    tiny.norm.eps = 1e-5
    path = tmp_path / "other.pt"
    torch.save(tiny, path)
    with pytest.raises(ConversionError, match="norm.eps 1e-05 instead of 0.001"):
        checkpoint.fill(Tiny(), "classifier", checkpoint.read(path))


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html>", b"\x80\x02}q\x00."])
def test_no_checkpoint_is_said_to_be_none(tmp_path, content):
    path = tmp_path / "page.pt"
    path.write_bytes(content)
    with pytest.raises(ConversionError, match="page.pt"):
        checkpoint.read(path)


def test_torchscript_is_refused(tmp_path):
    path = tmp_path / "traced.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("traced/constants.pkl", b"")
    with pytest.raises(ConversionError, match="TorchScript"):
        checkpoint.read(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(ConversionError, match="no file"):
        checkpoint.read(tmp_path / "none.pt")
