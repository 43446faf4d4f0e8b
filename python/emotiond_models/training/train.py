"""Training: AdamW over one warm-up and cosine decay, an exponential moving average of the weights.

The lowest layers stay as pretrained and run without gradient. Progress counts images
or, with `minutes`, the time spent training, so that a run ends when it must on any machine.

Workers are processes of one thread each that step on the same weights without a lock
(Hogwild, Niu et al. 2011): on a busy machine two of them see nearly twice the images of one
process with two threads, which wait for each other in every layer. One worker is repeatable
bit by bit, several are not.
"""

import copy
import inspect
import json
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import multiprocessing

from ..runtime import softmax
from . import teacher
from .augment import augment, centre
from .metrics import summary
from .contract import LABELS, UNITS
from .network import EmotionNet, folded
from .sharpness import gradient_nearby
from .start import SAFE_LOAD

# Debian 12's PyTorch 1.13, which runs the quick test, lacks ReLU6's gradient in bfloat16.
MIXED = not torch.__version__.startswith("1.")


SIZE = 128  # of the final input
SMALL_SIZE = 96  # of the network for small faces


@dataclass
class Recipe:
    # (progress, input size). The trunk was pretrained at 224 px and knows little of smaller pictures: trained from large
    # to small it keeps what it knows.
    stages: list = field(default_factory=lambda: [(0.0, 160), (0.48, SIZE)])
    epochs: float = 8.0
    minutes: float | None = None
    batch: int = 64
    ferplus_share: float = 0.6  # of each batch
    rate: float = 5e-4  # of the last trunk layers; the head has five times it, the lowest a third
    weight_decay: float = 0.02
    frozen: int = 5  # trunk layers that stay as pretrained
    average: float = 0.998
    smoothing: float = 0.1  # of ExpW's labels
    balance: float = 1.0  # how far ExpW's uneven shares of classes are taken out of what the network learns, 0 to 1
    units_weight: float = 1.0  # of the action units' loss
    expw_weight: float = 0.6
    bootstrap: float = 0.4  # share of the network's own view in ExpW's targets,
    bootstrap_from: float = 0.35  # from this progress on
    strength: float = 0.5  # of augmentation
    sharpness: float = 0.0  # radius within which the loss shall be flat (`sharpness.py`); costs a second pass
    taught: float = 0.0  # share of an ensemble's view in the targets, in place of `bootstrap`
    copied: bool = False  # learn what the ensemble says, classes and shares alike, and nothing else
    seed: int = 1
    workers: int = 2

    @classmethod
    def polish(cls, **given) -> "Recipe":
        """A second run from the averaged weights, at the final size.

        Labels alone are soon learned by heart, so without an ensemble's view it goes slowly and looks for a flat minimum.
        """
        slow = {} if given.get("taught") else {"rate": 2.5e-4, "sharpness": 0.5}
        return cls(stages=[(0.0, SIZE)], **slow, **given)

    @classmethod
    def refine(cls, **given) -> "Recipe":
        """From a finished network to other crops or other labels: its own view counts from the first step, its lowest
        layers stay, and faces vary more than it has seen."""
        return cls(stages=[(0.0, SIZE)], rate=2.5e-4, frozen=7, average=0.995, bootstrap_from=0.0, strength=0.7, **given)

    @classmethod
    def small(cls, **given) -> "Recipe":
        """From a finished network to a smaller input: it learns what the finished one, as the only member of the ensemble,
        says of the face as it is cached."""
        return cls(stages=[(0.0, SMALL_SIZE)], rate=4e-4, average=0.995, strength=0.7, ferplus_share=0.45, units_weight=0.0,
                   copied=True, **{**given, "taught": 1.0})


# How often one epoch shows a face of each class, in the order of LABELS.
REPEATS = {"ferplus": (1, 1, 1, 1, 1, 3, 2, 3), "expw": (1, 1, 1, 1, 1, 1, 3, 1)}


KEPT_BACK = 6  # one in so many of FER+'s validation pictures is never trained on


@dataclass
class FaceSet:
    name: str
    image: torch.Tensor
    target: torch.Tensor
    majority: np.ndarray
    split: np.ndarray
    taught: torch.Tensor | None = None  # float32 `[n, 8]`: what an ensemble says (`ensemble.py`)
    units: torch.Tensor | None = None  # float32 `[n, len(UNITS)]`, 0 to 1, NaN where the teacher was not asked

    @classmethod
    def load(cls, work: Path, name: str) -> "FaceSet":
        stored = np.load(work / f"{name}.npz")
        return cls(name, torch.from_numpy(stored["image"]), torch.from_numpy(stored["target"]),
                   stored["majority"], stored["split"], units=teacher.targets(work, name, len(stored["split"])))

    def learn_from_validation(self) -> None:
        """Train on the validation pictures as well, when all is chosen; every sixth stays, for the temperature."""
        validation = self.labelled(1)
        self.split = self.split.copy()
        self.split[np.delete(validation, np.s_[::KEPT_BACK])] = 0

    def epoch(self, rng: np.random.Generator) -> np.ndarray:
        use = self.labelled(0)
        return rng.permutation(np.repeat(use, np.array(REPEATS[self.name])[self.majority[use]]))

    def shares(self) -> torch.Tensor:
        """Logarithm of the share of each class in an epoch; -inf for a class that the set does not know."""
        use = self.labelled(0)
        counts = np.bincount(self.majority[use], minlength=len(LABELS)) * np.array(REPEATS[self.name])
        return torch.from_numpy(counts / counts.sum()).float().log()

    def labelled(self, split: int) -> np.ndarray:
        return np.flatnonzero((self.split == split) & (self.majority >= 0))


@torch.no_grad()
def predict(net: EmotionNet, faces: FaceSet, index: np.ndarray, size: int, flip: bool = False) -> np.ndarray:
    net = folded(net).to(memory_format=torch.channels_last)
    out = []
    for part in np.array_split(index, max(1, len(index) // 128)):
        x = centre(faces.image[part], size)
        x = (x.flip(3) if flip else x).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=MIXED):
            out.append(net(x).float())
    return torch.cat(out).numpy()


class Trainer:
    def __init__(self, recipe: Recipe, sets: list[FaceSet], work: Path, net: EmotionNet):
        torch.manual_seed(recipe.seed)
        torch.set_num_threads(1)
        self.recipe, self.sets, self.work = recipe, sets, work
        self.rng = torch.Generator().manual_seed(recipe.seed)
        self.order = np.random.default_rng(recipe.seed)
        self.net = net
        self.net.to(memory_format=torch.channels_last).train()
        self.average = copy.deepcopy(self.net).eval()
        # Fused is faster; Debian 12's PyTorch 1.13, which runs the quick test, has no such argument.
        fused = {"fused": True} if "fused" in inspect.signature(torch.optim.AdamW).parameters else {}
        self.optimizer = torch.optim.AdamW(
            self._groups(), weight_decay=recipe.weight_decay, betas=(0.9, 0.99), **fused
        )
        self.spent, self.step = 0.0, 0
        self.seen = multiprocessing.Value("q", 0)
        self.log: list[dict] = []
        self.before = (0.0, 0.0)  # epochs and minutes of an earlier run that this one polishes
        self.queues = [np.empty(0, int) for _ in sets]
        self.near = None  # each worker's own copy of the weights, for `sharpness`

    def _groups(self) -> list[dict]:
        rate, net = self.recipe.rate, self.net
        groups = []
        trained = net.trunk[self.recipe.frozen:]
        for i, layer in enumerate(trained):
            depth = i / max(1, len(trained) - 1)
            factor = (1 / 3) ** (1 - depth)
            groups.append({"params": [layer.conv.weight], "peak": rate * factor})
            groups.append({"params": list(layer.norm.parameters()), "peak": rate * factor, "weight_decay": 0.0})
        head = [*net.norm.parameters(), *(p for head in net.heads() for p in head.parameters())]
        groups.append({"params": head, "peak": rate * 5, "weight_decay": 0.0})
        return groups

    def progress(self) -> float:
        if self.recipe.minutes:
            return min(1.0, self.elapsed() / (60 * self.recipe.minutes))
        return min(1.0, self.seen.value / (self.recipe.epochs * self.epoch_size))

    def elapsed(self) -> float:
        """Seconds of training, those before a resumption included."""
        return self.spent + time.monotonic() - self.began

    def _draw(self, count: int, which: int) -> np.ndarray:
        while len(self.queues[which]) < count:
            self.queues[which] = np.concatenate([self.queues[which], self.sets[which].epoch(self.order)])
        taken, self.queues[which] = np.split(self.queues[which], [count])
        return taken

    def run(self) -> EmotionNet:
        lengths = [len(s.epoch(self.order)) for s in self.sets]
        self.epoch_size = sum(lengths)
        shares = [self.recipe.ferplus_share if s.name == "ferplus" else 1 - self.recipe.ferplus_share for s in self.sets]
        self.counts = [max(1, round(self.recipe.batch * share / sum(shares))) for share in shares]
        self.began = time.monotonic()
        self.net.share_memory()
        self.average.share_memory()
        others = [multiprocessing.Process(target=self._work, args=(i,)) for i in range(1, self.recipe.workers)]
        for other in others:
            other.start()
        self._work(0)
        for other in others:
            other.join()
            if other.exitcode:
                raise RuntimeError(f"a training worker ended with code {other.exitcode}: see its traceback above")
        if self.losses:
            self._report()
        return self.average

    def _work(self, worker: int) -> None:
        """Steps until the end; the first worker also prints, validates and saves."""
        torch.set_num_threads(1)
        self.rng.manual_seed(self.recipe.seed * 1000 + worker)
        self.order = np.random.default_rng((self.recipe.seed, worker, self.seen.value))
        next_report = (self.seen.value // self.epoch_size + 0.5) * self.epoch_size
        self.size, lowest, self.losses = None, None, []
        marked = (self.elapsed(), self.seen.value)
        while (progress := self.progress()) < 1:
            size = [s for at, s in self.recipe.stages if progress >= at][-1]
            if size != self.size:
                self.size = size
                lowest = folded(self.net).trunk[: self.recipe.frozen].to(memory_format=torch.channels_last)
            self.losses.append(self._step(size, self.counts, lowest, progress))
            with self.seen.get_lock():
                self.seen.value += sum(self.counts)
            if worker == 0 and self.step % 50 == 0:
                now = (self.elapsed(), self.seen.value)
                rate = (now[1] - marked[1]) / (now[0] - marked[0])
                marked = now
                print(f"seen {now[1]} progress {progress:.3f} size {size} "
                      f"loss {np.mean(self.losses[-50:]):.4f} {rate:.0f} images/s", flush=True)
            if worker == 0 and self.step % 200 == 0:
                self.save()
            if worker == 0 and self.seen.value >= next_report:
                next_report += self.epoch_size / 2
                self._report()
                self.losses = []

    def _step(self, size: int, counts: list[int], lowest, progress: float) -> float:
        x, target, weight, shift, units = self._batch(size, counts, lowest)
        asked = ~units[:, 0].isnan()

        def loss_of(net: EmotionNet) -> torch.Tensor:
            with torch.autocast("cpu", torch.bfloat16, enabled=MIXED):
                features = net.trunk[self.recipe.frozen:](x).mean((2, 3))
            features = net.norm(features.float())
            # Each set is judged with its own shares of classes (Menon et al. 2021, logit adjustment).
            logits = net.expression(net.dropout(features)) + shift
            wanted = target if self.recipe.taught else self._own_view(target, weight < 1, logits.detach(), progress)
            # A class that a set does not know has no logit there (-inf) and no share in a target.
            each = -(wanted * logits.log_softmax(1).clamp(min=-1e4)).sum(1)
            loss = (each * weight).sum() / weight.sum()
            if net.units is not None and asked.any():
                said = net.units(features[asked])
                loss = loss + self.recipe.units_weight * F.binary_cross_entropy_with_logits(said, units[asked])
            return loss

        warm = min(1.0, (self.step + 1) / 150)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))
        self.optimizer.zero_grad(set_to_none=True)
        if self.recipe.sharpness:
            self.near = self.near or copy.deepcopy(self.net)
            loss = gradient_nearby(self.net, self.near, loss_of, self.recipe.sharpness)
        else:
            loss = loss_of(self.net)
            loss.backward()
        self.optimizer.step()
        self.step += 1
        self._follow()
        return float(loss.detach())

    def _batch(self, size: int, counts: list[int], lowest) -> tuple[torch.Tensor, ...]:
        """Augmented faces after the lowest layers, their targets, how much each counts, what is added to the logits, and
        action units."""
        inputs, targets, weights, shifts, units = [], [], [], [], []
        for i, (faces, count) in enumerate(zip(self.sets, counts, strict=True)):
            index = self._draw(count, i)
            inputs.append(augment(faces.image[index], size, self.rng, self.recipe.strength))
            targets.append(self._targets(faces, index))
            noisy = faces.name == "expw" and not self.recipe.copied
            weights.append(torch.full((count,), self.recipe.expw_weight if noisy else 1.0))
            shifts.append(self._shift(faces).expand(count, -1))
            known = faces.units is not None
            units.append(faces.units[index] if known else torch.full((count, len(UNITS)), torch.nan))
        x = torch.cat(inputs).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=MIXED), torch.no_grad():
            x = lowest(x)
        return x, torch.cat(targets), torch.cat(weights), torch.cat(shifts), torch.cat(units)

    def _shift(self, faces: FaceSet) -> torch.Tensor:
        """FER+ is shown as its pictures come. ExpW was gathered by class: its shares say nothing of people, and that it
        has no contempt says nothing of its faces."""
        if faces.name != "expw" or self.recipe.copied:
            return torch.zeros(len(LABELS))
        shares = faces.shares()
        return torch.where(shares.isinf(), shares, shares * self.recipe.balance)

    def _targets(self, faces: FaceSet, index: np.ndarray) -> torch.Tensor:
        if self.recipe.copied:
            return faces.taught[index]
        target = faces.target[index]
        known = torch.isfinite(faces.shares()).float()
        if faces.name == "expw":
            smooth = self.recipe.smoothing
            target = target * (1 - smooth) + smooth * known / known.sum()
        if share := self.recipe.taught:
            taught = faces.taught[index]
            if faces.name == "expw":
                taught = taught * known / (taught * known).sum(1, keepdim=True).clamp(min=1e-9)
            target = (1 - share) * target + share * taught
        return target

    def _own_view(self, target, noisy, logits, progress):
        """Noisy labels, late in training, mixed with what the network itself holds of the face."""
        share = self.recipe.bootstrap if progress > self.recipe.bootstrap_from else 0.0
        return torch.where(noisy[:, None], (1 - share) * target + share * logits.softmax(1), target)

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the averaged weights towards the current ones, faster at first."""
        pace = 1 - min(self.recipe.average, (1 + self.step) / (10 + self.step))
        mine, theirs = self.average.state_dict(), self.net.state_dict()
        for key in mine:
            if mine[key].is_floating_point():
                mine[key].lerp_(theirs[key], pace)

    def _report(self) -> None:
        size = self.size
        epochs, minutes = self.before
        row = {"epoch": epochs + self.seen.value / self.epoch_size, "minutes": minutes + self.elapsed() / 60, "size": size,
               "loss": float(np.mean(self.losses)) if self.losses else None}
        for faces in self.sets:
            index = faces.labelled(1)
            logits = predict(self.average, faces, index, size)
            row[faces.name] = summary(softmax(logits[:, : len(LABELS)]), faces.majority[index].astype(int))
        self.log.append(row)
        print(json.dumps(row), flush=True)
        self.save()

    def save(self) -> None:
        path = self.work / "checkpoint.pt"
        state = {"net": self.net.state_dict(), "average": self.average.state_dict(),
                 "optimizer": self.optimizer.state_dict(), "spent": self.elapsed(), "step": self.step,
                 "seen": self.seen.value, "log": self.log, "size": self.size}
        torch.save(state, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)
        (self.work / "log.json").write_text(json.dumps(self.log, indent=1))

    def resume(self, path: Path, polish: bool = False) -> None:
        """Go on from a checkpoint of a network as wide as this one, or, to `polish`, from its averaged weights."""
        state = torch.load(path, weights_only=SAFE_LOAD)
        self.net.load_state_dict(state["average"] if polish else state["net"])
        self.average.load_state_dict(state["average"])
        self.log = state["log"]
        if polish:
            last = self.log[-1] if self.log else {"epoch": 0.0, "minutes": 0.0}
            self.before = (last["epoch"], last["minutes"])
        elif "optimizer" not in state:
            raise SystemExit(f"{path} was narrowed since it was trained: go on with --polish, not with --resume")
        else:
            self.optimizer.load_state_dict(state["optimizer"])
            self.spent, self.step = state["spent"], state["step"]
            self.seen.value = state["seen"]
