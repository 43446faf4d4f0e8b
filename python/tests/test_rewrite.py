"""Rewriting a network leaves its float result as it is."""

import pytest

from .needs import needed

torch = needed("torch")

from emotiond_models.convert import rewrite  # noqa: E402


def test_split_head_changes_nothing(tiny):
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = tiny(x)
        rewrite.split_head(tiny, "classifier", 8)
        expression, affect = tiny(x)
    assert isinstance(tiny.classifier, rewrite.SplitHead)
    assert expression.shape == (2, 8) and affect.shape == (2, 2)
    assert torch.allclose(torch.cat([expression, affect], 1), expected, atol=1e-6)


def test_prelu_as_the_exporter_writes_it_is_prelu():
    x, slope = torch.randn(2, 5, 4, 4), torch.tensor([-0.3, 0.0, 0.4, 1.0, 1.7])
    found = rewrite.prelu_form(x, slope.reshape(1, 5, 1, 1))
    assert torch.equal(found, torch.nn.functional.prelu(x, slope))


@pytest.mark.parametrize("side", [8, 7])  # of an odd side patches have no whole number, and timm makes the picture larger
def test_patches_in_another_layout_are_the_same(side):
    needed("timm")
    from timm.models.mobilevit import MobileVitV2Block

    torch.manual_seed(3)
    block = torch.nn.Sequential(MobileVitV2Block(8, transformer_dim=12, transformer_depth=2, patch_size=2)).eval()
    for layer in block.modules():
        if isinstance(layer, (torch.nn.GroupNorm, torch.nn.BatchNorm2d)):
            torch.nn.init.normal_(layer.weight, 1, 0.3), torch.nn.init.normal_(layer.bias, 0, 0.3)
    x = torch.randn(2, 8, side, side)
    with torch.no_grad():
        expected = block(x)
        rewrite.replace_patches(block)
        assert isinstance(block[0], rewrite.PatchesLast)
        torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5)
