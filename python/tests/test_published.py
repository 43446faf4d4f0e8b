"""The table of published networks against counts that others took from the published files."""

import contextlib

import pytest

from .needs import needed

torch = needed("torch")

from emotiond_models.convert.architectures import ARCHITECTURES, folded_parameters  # noqa: E402
from emotiond_models.convert.published import NETWORKS  # noqa: E402

LABELS = {"neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"}


def build(name: str) -> torch.nn.Module:
    network = NETWORKS[name]
    if network.architecture.startswith(("efficientnet", "mobilevit")):
        needed("timm")
    # Shapes without memory or time, where PyTorch can (2 and later).
    with contextlib.nullcontext() if torch.__version__.startswith("1.") else torch.device("meta"):
        return ARCHITECTURES[network.architecture].build(network.outputs)


@pytest.mark.parametrize("name", NETWORKS)
def test_labels_are_the_manifests_names(name):
    labels = NETWORKS[name].labels
    assert set(labels) <= LABELS and len(set(labels)) == len(labels)


@pytest.mark.parametrize("name", [name for name, network in NETWORKS.items() if network.folded_parameters])
def test_architecture_has_the_published_number_of_parameters(name):
    assert folded_parameters(build(name)) == NETWORKS[name].folded_parameters


@pytest.mark.parametrize(
    ("name", "parameters"),
    # "Trainable params" of the summary in HSEmotion's notebook; 4.11 M in the DDAMFN++ paper's table.
    [("mobilenet_7", 3_471_175), ("mt_ddamfn", 4_107_538)],
)
def test_own_definitions_have_the_published_number_of_parameters(name, parameters):
    assert sum(p.numel() for p in build(name).parameters()) == parameters


@pytest.mark.parametrize("name", NETWORKS)
def test_head_is_the_last_layer(name):
    network = NETWORKS[name]
    layer = build(name).get_submodule(ARCHITECTURES[network.architecture].head)
    assert isinstance(layer, torch.nn.Linear) and layer.out_features == network.outputs
