"""What the training code and emotiond's runtime must agree on; the manifest carries it from one to the other."""

# Order of the network's expression outputs: that of the FER+ votes.
LABELS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")

# Facial action units of the second head (FACS numbers).
UNITS = ("AU1", "AU2", "AU4", "AU5", "AU7", "AU12", "AU17", "AU20", "AU25", "AU27")

# The crop, in units of the longer side of BlazeFace's box. The box of a face that fills a FER2013
# picture is .88 of the picture, centred .07 of it below the middle: the crop is about that picture.
CROP_SCALE = 1.15
CROP_OFFSET = (0.0, -0.06)
# The same square in units of the box that emotiond finds faces by: docs/decisions/0009-own-detector.md.
MANIFEST_SCALE = 1.0
MANIFEST_OFFSET = (0.0, 0.024)

# x = (pixel - mean) / std, RGB
PIXEL_MEAN = 127.5
PIXEL_STD = 127.5
