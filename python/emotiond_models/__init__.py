"""Makes and converts the models that emotiond runs.

`emotiond_models.training` trains the emotion network that is shipped, `emotiond_models.convert` makes HSEmotion's
published networks fit. What both need is beside this file: TensorFlow Lite files as bytes (`flatbuffer`), quantization,
running a file (`runtime`, `c_library`) and the manifest that emotiond reads (`manifest`).
"""
