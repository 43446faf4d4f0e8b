"""The command: what a user sees when something is wrong with the files."""

import argparse
import sys
from dataclasses import replace

import pytest

from .needs import needed

needed("torch")

from emotiond_models.convert import ConversionError, __main__, calibration, compare, conversion  # noqa: E402
from emotiond_models.convert.__main__ import main  # noqa: E402
from emotiond_models.convert.published import NETWORKS  # noqa: E402


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
    assert main() == 1 and "no --calibrate FOLDER" in caplog.text


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(ConversionError, match="holds no picture"):
        calibration.from_folder(tmp_path, 10)


def test_a_broken_picture_is_named(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(ConversionError, match="broken.jpg"):
        calibration.from_folder(tmp_path, 10)


def test_file_name_tells_the_network(tmp_path):
    assert conversion.identify(tmp_path / "enet_b2_8.onnx", None) is NETWORKS["enet_b2_8"]
    assert conversion.identify(tmp_path / "affectnet8_epoch9.pth", "mt_ddamfn") is NETWORKS["mt_ddamfn"]


def test_channel_order_mean_and_deviation():
    red = calibration.Image.new("RGB", (50, 40), (255, 0, 0))
    network = NETWORKS["mobilenet_7"]
    x = calibration.prepare(red, network)
    assert x.shape == (1, 224, 224, 3)
    assert x[0, 5, 5] == pytest.approx([255 - 103.939, -116.779, -123.68])


CLOSE = compare.Difference(32, 1.0, 0.99, 0.1, 0.01, 0.01, 0.95, None)


@pytest.mark.parametrize(
    ("difference", "warned"),
    [(CLOSE, False), (replace(CLOSE, cosine_centred=0.98), True), (replace(CLOSE, agreement=0.89), True)],
)
def test_the_last_line_says_when_int8_is_far_from_float(tmp_path, monkeypatch, caplog, difference, warned):
    path = tmp_path / "mbf_va_mtl.pt"
    path.write_bytes(b"x")
    converted = [conversion.Converted("int8", path, path, difference, "tried: whole ranges 0.9950")]
    monkeypatch.setattr(conversion, "convert", lambda *_: converted)
    monkeypatch.setattr(sys, "argv", ["convert", str(path), "--pictures", "1"])
    assert main() == 0 and ("that is far" in caplog.records[-1].message) == warned
    assert any("whole ranges 0.9950" in record.getMessage() for record in caplog.records)


def converted(folder):
    results = []
    for kind in ("int8", "float16"):
        model, manifest = folder / f"a-{kind}.tflite", folder / f"a-{kind}.toml"
        model.write_bytes(kind.encode())
        manifest.write_text(kind)
        results.append(conversion.Converted(kind, model, manifest, CLOSE, ""))
    return results


def test_files_and_manifests_are_installed(tmp_path, monkeypatch, caplog):
    made, there = tmp_path / "made", tmp_path / "there"
    made.mkdir(), there.mkdir()
    (tmp_path / "mbf_va_mtl.pt").write_bytes(b"x")
    monkeypatch.setattr(conversion, "convert", lambda *_: converted(made))
    arguments = [str(tmp_path / "mbf_va_mtl.pt"), "--pictures", "1", "--install", str(there)]
    monkeypatch.setattr(sys, "argv", ["convert", *arguments])
    assert main() == 0
    assert sorted(path.name for path in there.iterdir()) == [
        "a-float16.tflite", "a-float16.toml", "a-int8.tflite", "a-int8.toml"
    ]  # fmt: skip
    assert (there / "a-int8.tflite").read_bytes() == b"int8"
    assert '[models] emotion = "a-float16"' in caplog.records[-1].getMessage()


def test_a_folder_that_is_not_there_is_no_place_to_install_to(tmp_path):
    with pytest.raises(ConversionError, match="is emotiond installed, and may this user write there"):
        conversion.install(converted(tmp_path), tmp_path / "none")


@pytest.mark.parametrize(("count", "calibrating", "kept"), [(10, 8, 2), (40, 32, 8), (233, 201, 32)])
def test_pictures_kept_aside_are_not_calibrated_on(tmp_path, caplog, count, calibrating, kept):
    for i in range(count):
        calibration.Image.new("RGB", (2, 2), (i, 0, 0)).save(tmp_path / f"{i}.png")
    wanted = 201 if count > 200 else 200
    arguments = argparse.Namespace(calibrate=tmp_path, pictures=wanted)
    used, held_out, described = __main__._pictures(arguments)
    reds = [[picture.getpixel((0, 0))[0] for picture in pictures] for pictures in (used, held_out)]
    assert [len(used), len(held_out)] == [calibrating, kept] and not set(reds[0]) & set(reds[1])
    assert f"calibrated on {calibrating} pictures" in described
    assert ("pictures, 232 were asked for" in caplog.text) == (count < 232)


def test_too_few_pictures_to_keep_one_aside_are_refused(tmp_path):
    calibration.Image.new("RGB", (2, 2)).save(tmp_path / "one.png")
    with pytest.raises(ConversionError, match="holds 1 pictures: at least 5 are needed"):
        __main__._pictures(argparse.Namespace(calibrate=tmp_path, pictures=200))


@pytest.mark.parametrize("count", ["0", "-40", "some"])
def test_a_count_of_pictures_is_at_least_one(monkeypatch, capsys, count):
    monkeypatch.setattr(sys, "argv", ["convert", "mbf_va_mtl.pt", f"--pictures={count}"])
    with pytest.raises(SystemExit):
        main()
    assert "--pictures" in capsys.readouterr().err
