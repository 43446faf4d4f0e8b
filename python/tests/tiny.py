"""A network of every kind of layer that matters here, small enough to convert in seconds."""

from .needs import needed

torch = needed("torch")


class Tiny(torch.nn.Module):
    def __init__(self, outputs: int = 10):
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 8, 3, stride=2, bias=False)
        self.norm = torch.nn.BatchNorm2d(8, eps=1e-3)
        self.prelu = torch.nn.PReLU(8)
        self.classifier = torch.nn.Linear(8, outputs)

    def forward(self, x):
        x = torch.nn.functional.pad(x, (0, 1, 0, 1))
        return self.classifier(self.prelu(self.norm(self.stem(x))).mean((2, 3)))
