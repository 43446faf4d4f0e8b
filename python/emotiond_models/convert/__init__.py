"""From HSEmotion / EmotiEffLib's published files to int8 TensorFlow Lite with a manifest.

`python -m emotiond_models.convert FILE` converts one published file, `python -m emotiond_models.convert.prove` shows
the same path at work on networks of the same architectures, trained on drawn faces. See docs/hsemotion.md.
"""


class ConversionError(Exception):
    """Something about the given file or options that its user can mend; the text says what and how."""
