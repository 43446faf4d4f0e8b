"""What HSEmotion / EmotiEffLib publish: one record per network, the only home of these facts.

Sources, read in the public repositories (facts only, no code):

- EmotiEffLib `emotiefflib/facial_analysis.py` (input sizes, mean, std, RGB, class order, valence and arousal last),
  `models/prepare_models_for_emotieffcpplib.py` (where each network keeps its last layer).
- face-emotion-recognition `src/affectnet/*.ipynb`, `src/display_emotions.ipynb` (mobilenet_7: layers, mean per channel,
  seven classes), `src/ABAW/ABAW7/mtl.ipynb` (mbf_va_mtl, MT-DDAMFN: size, mean, std, aligned crops).
- DDAMFN `DDAMFN++/networks/`.

The number of parameters with batch norm folded into the convolutions, counted by others in the published ONNX files, is
kept as `folded_parameters`: it tells one network from another and is what our definitions are tested against.
"""

from dataclasses import dataclass

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)

EIGHT = ("anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
SEVEN = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")

EMOTIEFFLIB = "https://github.com/sb-ai-lab/EmotiEffLib, models/affectnet_emotions"
AFFECTNET = ("VGGFace2 (pre-training, research)", "AffectNet (research)")


@dataclass(frozen=True)
class Crop:
    """The manifest's [crop]: how to cut the face relative to emotiond's detector box."""

    align: str
    scale: float
    offset: tuple[float, float]


# HSEmotion cuts MTCNN's box without margin or rotation. These figures map the box of emotiond-face to it; docs/hsemotion.md,
# "The crop", says how they were measured.
MTCNN_BOX = Crop("none", 0.89, (0.0, 0.007))
# The 112-pixel face template of ArcFace, which the aligned ABAW and DDAMFN crops follow.
ARCFACE_TEMPLATE = Crop("eyes", 1.13, (0.0, -0.063))


@dataclass(frozen=True)
class Published:
    """One published network.

    `mean` and `std` are in 0..255 units, in the order of `color`; `labels` in tensor order; with `affect`, valence and
    arousal (-1..1) follow the class scores in the same published output.
    """

    name: str
    architecture: str
    size: int
    labels: tuple[str, ...] = EIGHT
    affect: bool = False
    color: str = "rgb"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    crop: Crop = MTCNN_BOX
    licence: str = "Apache-2.0"
    source: str = EMOTIEFFLIB
    training_data: tuple[str, ...] = AFFECTNET
    folded_parameters: int | None = None

    @property
    def outputs(self) -> int:
        """Length of the published output: class scores, then valence and arousal where there are any."""
        return len(self.labels) + (2 if self.affect else 0)


_ALL = (
    Published("enet_b0_8_best_vgaf", "efficientnet_b0", 224, folded_parameters=3_996_788),
    Published("enet_b0_8_best_afew", "efficientnet_b0", 224, folded_parameters=3_996_788),
    Published("enet_b0_8_va_mtl", "efficientnet_b0", 224, affect=True, folded_parameters=3_999_350),
    Published("enet_b2_8", "efficientnet_b2", 260, folded_parameters=7_678_482),
    Published("enet_b2_7", "efficientnet_b2", 260, labels=SEVEN, folded_parameters=7_677_073),
    Published(
        "mbf_va_mtl",
        "mobilefacenet",
        112,
        affect=True,
        mean=(127.5, 127.5, 127.5),
        std=(127.5, 127.5, 127.5),
        folded_parameters=2_053_258,
    ),
    Published("mobilevit_va_mtl", "mobilevitv2_150", 224, affect=True, folded_parameters=9_821_779),
    Published(
        "mt_ddamfn",
        "ddamfn",
        112,
        affect=True,
        crop=ARCFACE_TEMPLATE,
        licence="none stated for the weights; DDAMFN's code: see its repository",
        source="https://github.com/SainingZhang/DDAMFN (architecture); checkpoint of HSEmotion's ABAW-7 entry",
        training_data=(
            "MS-Celeb-1M (pre-training; withdrawn by its publisher)",
            "AffectNet (research)",
        ),
    ),
    Published(
        "mobilenet_7",
        "keras_mobilenet",
        224,
        labels=SEVEN,
        # Keras' "caffe" means in the order blue, green, red, yet applied to RGB channels: so the network was trained.
        mean=(103.939, 116.779, 123.68),
        std=(1.0, 1.0, 1.0),
    ),
)

NETWORKS: dict[str, Published] = {network.name: network for network in _ALL}
