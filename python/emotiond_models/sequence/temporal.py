"""The temporal expression head: what a face shows now, by the expressions of its last two seconds and a half.

A network that reads one picture wavers: it is wrong for a moment, it confuses neighbours, it hesitates. An exponential filter
calms that and is late in return. This head learns when to wait and when to follow, from sequences that are drawn: nobody's
face is in them. What they are made of is written here, and what it gains is measured on sequences of the same kind only.
"""

import numpy as np
import torch
from torch import nn

from .writer import Writer

RATE, STEPS = 10.0, 24
LABELS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
HIDDEN = 48
# Shares of time, and how often a network confuses two expressions when it is unsure of one: figures of our own, chosen
# after the figures of our network on single pictures; no data set is in them.
_SHARES = np.array([0.4, 0.2, 0.08, 0.1, 0.08, 0.05, 0.05, 0.04])


def draw(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sequences of probabilities, count × STEPS × 8, and the class that is true at the last step of each."""
    random = np.random.default_rng(seed)
    classes = len(LABELS)
    length = STEPS + 40
    truth = np.zeros((count, length), np.int64)
    for row in truth:
        place = 0
        while place < length:
            # An expression lasts half a second at least, two and a half on average.
            lasts = 5 + int(random.exponential(20))
            row[place : place + lasts] = random.choice(classes, p=_SHARES / _SHARES.sum())
            place += lasts
    # How sure a network is differs from face to face, and each face leans to some classes.
    sure = random.uniform(1.0, 4.0, (count, 1, 1))
    lean = random.normal(0, 0.6, (count, 1, classes))
    slow, fast = np.zeros((count, classes)), random.normal(0, 1.0, (count, length, classes))
    logits = np.zeros((count, length, classes))
    for step in range(length):
        slow = 0.8 * slow + random.normal(0, 0.5, (count, classes))
        logits[:, step] = slow
    logits += fast + lean + sure * np.eye(classes)[truth]
    # For a moment it is quite wrong: a blink, a word, a movement.
    wrong = random.random((count, length)) < 0.06
    logits[wrong] += 4.0 * np.eye(classes)[random.integers(0, classes, int(wrong.sum()))]
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    probabilities = powers / powers.sum(-1, keepdims=True)
    return probabilities[:, -STEPS:].astype(np.float32), truth[:, -1]


def train(seed: int = 1, count: int = 60_000, epochs: int = 12) -> nn.Module:
    """The trained head, from STEPS × 8 probabilities to eight logits."""
    torch.manual_seed(seed)
    x, y = (torch.from_numpy(part) for part in draw(count, seed))
    network = nn.Sequential(nn.Flatten(), nn.Linear(STEPS * len(LABELS), HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, len(LABELS)))
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=1e-3)
    batch = 256
    steps = epochs * (len(x) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(x))[: len(x) // batch * batch].split(batch):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x[rows]), y[rows]).backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def write(network: nn.Module) -> bytes:
    """The TensorFlow Lite file: `[1, STEPS, 8]` in, eight logits out."""
    layers = [(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in network if isinstance(layer, nn.Linear)]
    writer = Writer("temporal expression head", (1, STEPS, len(LABELS)))
    flat = writer.reshape(writer.input, (1, STEPS * len(LABELS)), "flat")
    hidden = writer.dense(flat, *layers[0], "hidden", relu=True)
    return writer.finish([writer.dense(hidden, *layers[1], "logits")])


def smoothed(x: np.ndarray, time_constant: float) -> np.ndarray:
    """The last step of each sequence after the daemon's filter of this time constant, in seconds."""
    share = 1 - np.exp(-1 / (RATE * time_constant)) if time_constant else 1.0
    state = x[:, 0].copy()
    for step in range(1, x.shape[1]):
        state += share * (x[:, step] - state)
    return state


def compare(network: nn.Module, count: int = 20_000, seed: int = 99) -> dict[str, float]:
    """The share of last steps that are right, on sequences that were not trained on."""
    x, y = draw(count, seed)
    right = {f"filter {time} s": float((smoothed(x, time).argmax(1) == y).mean()) for time in (0, 0.25, 0.5, 1.0)}
    with torch.no_grad():
        right["temporal head"] = float((network(torch.from_numpy(x)).argmax(1).numpy() == y).mean())
    return right


def tables() -> tuple[dict, dict]:
    """The tables `[sequence]` and `[[head]]` of the manifest."""
    sequence = {"from": "scores", "scores": [f"expression.{label}" for label in LABELS], "rate": RATE, "steps": STEPS,
                "least": 5, "layout": "steps", "every": 0.2}
    return sequence, {"kind": "classes", "name": "expression", "output": 0, "labels": list(LABELS), "activation": "softmax"}
