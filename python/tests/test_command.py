"""The command: what a user sees when something is wrong with the files."""

import sys
from dataclasses import replace

import pytest

from models.convert import ConversionError, calibration, compare, convert
from models.convert.__main__ import main
from models.convert.published import NETWORKS


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("best.pt", b"x", "no published network is called 'best'; give --network"),
        ("enet_b2_8.tflite", b"x", "expected a file ending in"),
        ("enet_b2_8.h5", b"x", "enet_b2_8 is not published in this format"),
        ("mobilenet_7.onnx", b"x", "mobilenet_7 is not published in this format"),
        ("mbf_va_mtl.pt", b"<html>", "not a PyTorch checkpoint"),
    ],
)
def test_wrong_files_are_explained(tmp_path, monkeypatch, caplog, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    monkeypatch.setattr(sys, "argv", ["convert", str(path), "--out", str(tmp_path / "out"), "--pictures", "1"])
    assert main() == 1 and message in caplog.text


def test_drawn_faces_come_with_a_warning(tmp_path, monkeypatch, caplog):
    path = tmp_path / "mbf_va_mtl.pt"
    path.write_bytes(b"x")
    monkeypatch.setattr(sys, "argv", ["convert", str(path), "--pictures", "1"])
    assert main() == 1 and "no --calibration FOLDER" in caplog.text


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(ConversionError, match="holds no picture"):
        calibration.from_folder(tmp_path, 10)


def test_a_broken_picture_is_named(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(ConversionError, match="broken.jpg"):
        calibration.from_folder(tmp_path, 10)


def test_file_name_tells_the_network(tmp_path):
    assert convert.identify(tmp_path / "enet_b2_8.onnx", None) is NETWORKS["enet_b2_8"]
    assert convert.identify(tmp_path / "affectnet8_epoch9.pth", "mt_ddamfn") is NETWORKS["mt_ddamfn"]


def test_channel_order_mean_and_deviation():
    red = calibration.Image.new("RGB", (50, 40), (255, 0, 0))
    network = NETWORKS["mobilenet_7"]
    x = calibration.prepare(red, network)
    assert x.shape == (1, 224, 224, 3)
    assert x[0, 5, 5] == pytest.approx([255 - 103.939, -116.779, -123.68])


CLOSE = compare.Difference(32, 1.0, 0.99, 0.1, 0.01, 0.01, 0.95, None)


@pytest.mark.parametrize(
    ("difference", "option", "warned"),
    [
        (CLOSE, [], False),
        (replace(CLOSE, cosine_centred=0.97), [], True),
        (replace(CLOSE, agreement=0.89), [], True),
        (replace(CLOSE, agreement=0.89), ["--float-activations"], False),
    ],
)
def test_the_last_line_says_when_int8_is_far_from_float(tmp_path, monkeypatch, caplog, difference, option, warned):
    path = tmp_path / "mbf_va_mtl.pt"
    path.write_bytes(b"x")
    monkeypatch.setattr(convert, "convert", lambda *_: convert.Converted(path, path, difference, {"MEAN": 1}))
    monkeypatch.setattr(sys, "argv", ["convert", str(path), "--pictures", "1", *option])
    assert main() == 0 and ("--float-activations" in caplog.records[-1].message) == warned
