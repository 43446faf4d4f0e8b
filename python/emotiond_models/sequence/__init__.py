"""Networks that read the last seconds of one face: their TensorFlow Lite files and manifests.

`python -m emotiond_models.sequence engagement FILE.h5` converts EmotiEffLib's published file, `… mimicry FILE` a network of
two layers for emotional mimicry intensity, `… temporal` trains the temporal expression head on drawn sequences.
"""
