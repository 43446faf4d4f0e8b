"""Rewriting a network leaves its float result as it is."""

from .needs import needed

torch = needed("torch")

from emotiond_models.convert import rewrite  # noqa: E402


def test_split_head_and_relu_form_change_nothing(tiny):
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = tiny(x)
        rewrite.split_head(tiny, "classifier", 8)
        rewrite.replace_prelu(tiny)
        expression, affect = tiny(x)
    assert isinstance(tiny.classifier, rewrite.SplitHead) and isinstance(tiny.prelu, rewrite.ReluForm)
    assert expression.shape == (2, 8) and affect.shape == (2, 2)
    assert torch.allclose(torch.cat([expression, affect], 1), expected, atol=1e-6)


def test_linear_attention_in_another_layout_is_the_same():
    needed("timm")
    from timm.models.mobilevit import LinearSelfAttention

    torch.manual_seed(3)
    block = torch.nn.Sequential(LinearSelfAttention(embed_dim=24)).eval()
    x = torch.randn(2, 24, 4, 9)
    with torch.no_grad():
        expected = block(x)
        rewrite.replace_linear_attention(block)
        assert isinstance(block[0], rewrite.LinearAttention)
        torch.testing.assert_close(block(x), expected, rtol=1e-5, atol=1e-6)
