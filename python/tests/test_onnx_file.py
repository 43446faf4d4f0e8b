"""ONNX in: the same numbers, heads apart, and clear refusals."""

import inspect

import pytest

from .needs import needed, torch_2

torch = needed("torch")
for name in ("onnx", "onnxruntime", "onnx2torch"):
    needed(name)

from emotiond_models.convert import ConversionError, onnx_file  # noqa: E402

SIZE = 32


class WithMaps(torch.nn.Module):
    """Gives inner maps beside the scores, as DDAMFN does."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return x * 2, self.network(x)


class WithSlices(torch.nn.Module):
    """Cuts at places that come from a shape, as DDAMFN does."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        left, right = torch.split(x, [x.shape[3] // 2, x.shape[3] // 2], dim=3)
        return self.network(torch.cat([right[:, :, 1::2], left[:, :, ::2]], dim=3))


class WithAttention(torch.nn.Module):
    """Reshapes, repeats, resizes and takes a softmax over places, as MobileViT does."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        small = torch.nn.functional.interpolate(x, size=(SIZE // 2, SIZE // 2), mode="bilinear", align_corners=False)
        places = small.reshape(x.shape[0], 3, -1, 4)
        context = (places * places.softmax(-1)).sum(-1, keepdim=True).expand_as(places)
        return self.network(x + context.reshape(small.shape).repeat(1, 1, 2, 2))


def export(module, path):
    # As the published files were made; PyTorch 1.13 knows no other exporter, and no name for this one.
    how = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
    torch.onnx.export(
        module,
        (torch.zeros(1, 3, SIZE, SIZE),),
        str(path),
        opset_version=11,
        input_names=["input"],
        dynamic_axes={"input": {0: "batch_size"}},
        **how,
    )


def read(path, outputs=10):
    torch_2("recording a network's operations")
    return onnx_file.read(path, SIZE, 8, outputs)


@pytest.fixture
def path(tiny, tmp_path):
    export(tiny, tmp_path / "tiny.onnx")
    return tmp_path / "tiny.onnx"


def test_same_numbers_in_two_heads(tiny, path):
    x = torch.randn(1, 3, SIZE, SIZE)
    with torch.no_grad():
        expression, affect = read(path)(x)
        expected = tiny(x)
    assert torch.allclose(torch.cat([expression, affect], 1), expected, atol=1e-5)


def test_prelu_is_gone(path):
    targets = {str(node.target) for node in read(path).graph.nodes}
    assert not any("prelu" in target for target in targets) and any("relu" in target for target in targets)


def test_scores_are_found_among_several_outputs(tiny, tmp_path):
    path = tmp_path / "maps.onnx"
    export(WithMaps(tiny).eval(), path)
    x = torch.randn(1, 3, SIZE, SIZE)
    with torch.no_grad():
        expression, _ = read(path)(x)
        assert torch.allclose(expression, tiny(x)[:, :8], atol=1e-5)


def test_slices_keep_their_places(tiny, tmp_path):
    path = tmp_path / "slices.onnx"
    export(WithSlices(tiny).eval(), path)
    x = torch.randn(1, 3, SIZE, SIZE)
    with torch.no_grad():
        expression, _ = read(path)(x)
        assert torch.allclose(expression, WithSlices(tiny)(x)[:, :8], atol=1e-5)


def test_attention_is_the_same_and_its_softmax_flat(tiny, tmp_path):
    path = tmp_path / "attention.onnx"
    export(WithAttention(tiny).eval(), path)
    x = torch.randn(1, 3, SIZE, SIZE)
    network = read(path)
    with torch.no_grad():
        assert torch.allclose(network(x)[0], WithAttention(tiny)(x)[:, :8], atol=1e-5)
    softmax = next(node for node in network.graph.nodes if "softmax" in str(node.target))
    assert softmax.meta["tensor_meta"].shape == (3 * SIZE * SIZE // 16, 4)


def test_other_size_is_refused(path):
    with pytest.raises(ConversionError, match=r"expected batch×3×64×64"):
        onnx_file.read(path, 64, 8, 10)


def test_other_number_of_outputs_is_refused(path):
    with pytest.raises(ConversionError, match=r"\(1, 10\)\], expected one 1×8"):
        onnx_file.read(path, SIZE, 8, 8)


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html>"])
def test_no_onnx_is_said_to_be_none(tmp_path, content):
    path = tmp_path / "page.onnx"
    path.write_bytes(content)
    with pytest.raises(ConversionError, match="page.onnx is not an ONNX file"):
        onnx_file.read(path, SIZE, 8, 10)
