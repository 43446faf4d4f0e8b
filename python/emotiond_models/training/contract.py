"""What the training code and emotiond's runtime must agree on; the manifest carries it from one to the other."""

# Order of the network's expression outputs: that of the FER+ votes.
LABELS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")

# Facial action units of the second head (FACS numbers).
UNITS = ("AU1", "AU2", "AU4", "AU5", "AU7", "AU12", "AU17", "AU20", "AU25", "AU27")

# The crop, in units of the face's frame by its landmarks (`crop.frame`).
CROP_SCALE = 2.6
CROP_MIRRORED_SCALE = 2.45
CROP_OFFSET = (0.0, -0.093)

# x = (pixel - mean) / std, RGB
PIXEL_MEAN = 127.5
PIXEL_STD = 127.5
