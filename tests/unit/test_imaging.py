"""Pictures from outside: what is kept of them, and what is refused."""

import importlib.util
import io
import random
import resource
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw, PngImagePlugin

from bot import imaging
from bot.domain.errors import BadPicture

PROMPT = "a secret red fox"


def noise(mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> Image.Image:
    """A picture in which every pixel counts, the same in every process: cases are named by their bytes."""
    grain = random.Random(0).randbytes(size[0] * size[1])
    return Image.frombytes("L", size, grain).convert(mode)


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def opened(png: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(png))
    image.load()
    return image


def colours_of(image: Image.Image) -> dict[object, int]:
    """How many pixels of each colour."""
    return {colour: count for count, colour in image.getcolors(1 << 24) or ()}


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def a_png(width: int, height: int, idat: bytes, *, bits: int = 8, colour_type: int = 2) -> bytes:
    """A PNG whose header and pixels need not agree."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    return imaging.PNG_SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", idat) + chunk(b"IEND", b"")


def a_huge_jpeg() -> bytes:
    small = saved(noise(), "JPEG")
    start = small.index(b"\xff\xc0") + 5
    return small[:start] + struct.pack(">HH", 65_000, 65_000) + small[start + 4 :]


def a_huge_webp() -> bytes:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    small = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    return small[:24] + (16_382).to_bytes(3, "little") * 2 + small[30:]


BOMBS = {
    "png header": a_png(50_000, 50_000, zlib.compress(b"\0" * 1000)),
    "png of one colour": a_png(17_000, 1_000, zlib.compress(b"\0" * 17_000 * 1000)),
    "png that never ends": a_png(10, 10, zlib.compress(b"\0" * 200_000_000, 9)),
    "jpeg header": a_huge_jpeg(),
    "webp header": a_huge_webp(),
}


class TestWhatIsKept:
    @given(st.sampled_from(["RGB", "RGBA"]), st.integers(1, 24), st.integers(1, 24), st.data())
    @settings(deadline=None, max_examples=60)
    def test_pixels_stay_exactly_as_they_are(self, mode: str, width: int, height: int, data: st.DataObject):
        size = width * height * len(mode)
        image = Image.frombytes(mode, (width, height), data.draw(st.binary(min_size=size, max_size=size)))
        picture = imaging.verify(saved(image))
        assert (picture.width, picture.height) == (width, height)
        written = opened(picture.png)
        assert (written.mode, written.format, written.tobytes()) == (mode, "PNG", image.tobytes())

    def test_writing_anew_what_was_written_changes_nothing(self):
        once = imaging.verify(saved(noise()))
        assert imaging.verify(once.png) == once

    @pytest.mark.parametrize("mode", ["1", "L", "P"])
    def test_other_kinds_of_png_become_the_same_colours(self, mode: str):
        image = noise("RGB").quantize(16) if mode == "P" else noise(mode)
        picture = imaging.verify(saved(image))
        assert opened(picture.png).tobytes() == image.convert("RGB").tobytes()

    @pytest.mark.parametrize("mode", ["LA", "P", "RGB"])
    def test_transparency_stays(self, mode: str):
        options: dict[str, Any] = {}
        image = Image.new("LA", (4, 4), (90, 7))
        if mode == "P":
            image, options = Image.new("P", (4, 4), 0), {"transparency": 0}
        if mode == "RGB":
            image, options = Image.new("RGB", (4, 4), "red"), {"transparency": (255, 0, 0)}
        written = opened(imaging.verify(saved(image, **options)).png)
        assert written.mode == "RGBA"
        assert written.tobytes() == opened(saved(image, **options)).convert("RGBA").tobytes()

    def test_a_png_of_sixteen_bits_a_colour_becomes_one_of_eight(self):
        lines = b"".join(b"\0" + struct.pack(">HHH", 0xFFFF, 0x8000, 0) * 3 for _ in range(2))
        written = opened(imaging.verify(a_png(3, 2, zlib.compress(lines), bits=16)).png)
        assert written.getpixel((1, 1)) == (255, 128, 0)

    def test_a_png_saved_line_by_line_in_passes_is_read(self):
        pixel = zlib.compress(b"\0\x11\x22\x33")
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 1))
        body = imaging.PNG_SIGNATURE + header + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")
        assert opened(imaging.verify(body).png).getpixel((0, 0)) == (0x11, 0x22, 0x33)

    @pytest.mark.parametrize(
        "options", [{"quality": 90}, {"lossless": True}, {"lossless": True, "exact": True}]
    )
    @pytest.mark.parametrize("mode", ["RGB", "RGBA"])
    def test_a_webp_becomes_a_png_of_the_same_pixels(self, mode: str, options: dict[str, Any]):
        body = saved(noise(mode), "WEBP", **options)
        written = opened(imaging.verify(body).png)
        assert written.tobytes() == opened(body).convert(written.mode).tobytes()

    @pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
    def test_a_jpeg_becomes_a_png_of_the_same_pixels(self, mode: str):
        body = saved(noise(mode), "JPEG")
        assert opened(imaging.verify(body).png).tobytes() == opened(body).convert("RGB").tobytes()

    @pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
    def test_a_photograph_that_was_stored_turned_stands_upright(self, kind: str):
        exif = Image.Exif()
        exif[0x0112] = 6
        picture = imaging.verify(saved(noise(size=(40, 30)), kind, exif=exif))
        assert (picture.width, picture.height) == (30, 40)

    def test_no_text_of_the_source_is_left(self):
        texts = PngImagePlugin.PngInfo()
        texts.add_text("parameters", PROMPT)
        texts.add_itxt("prompt", PROMPT, zip=True)
        exif = Image.Exif()
        exif[0x010E] = PROMPT
        png = imaging.verify(saved(noise(), pnginfo=texts, exif=exif, icc_profile=b"x" * 200)).png
        assert PROMPT.encode() not in png
        assert set(opened(png).info) == {"XML:com.adobe.xmp", "xmp"}

    def test_text_packed_small_to_swell_is_not_even_read(self):
        swelling = chunk(b"zTXt", b"bomb\0\0" + zlib.compress(b"x" * 80_000_000))
        png = saved(noise())
        assert imaging.verify(png[:33] + swelling + png[33:]) == imaging.verify(png)

    def test_the_picture_says_that_a_machine_made_it(self):
        assert (
            "trainedAlgorithmicMedia" in opened(imaging.verify(saved(noise())).png).info["XML:com.adobe.xmp"]
        )

    def test_a_file_hidden_behind_the_picture_is_left_out(self):
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as hidden:
            hidden.writestr("payload.txt", PROMPT)
        picture = imaging.verify(saved(noise()) + archive.getvalue())
        assert not zipfile.is_zipfile(io.BytesIO(picture.png))
        assert picture.png.endswith(chunk(b"IEND", b""))

    def test_without_igzip_the_pixels_are_the_same(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setitem(sys.modules, "isal.isal_zlib", None)
        plan = importlib.util.spec_from_file_location("imaging_without_igzip", imaging.__file__)
        assert plan is not None
        assert plan.loader is not None
        monkeypatch.setitem(sys.modules, plan.name, importlib.util.module_from_spec(plan))
        plan.loader.exec_module(slower := sys.modules[plan.name])
        image = noise("RGBA")
        assert slower.compress is zlib.compress
        assert opened(slower.verify(saved(image)).png).tobytes() == image.tobytes()


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"\x89PNG",
            imaging.PNG_SIGNATURE,
            b"<html><script>alert(1)</script></html>",
            b"%PDF-1.7\n" + saved(noise()),
            b"PK\x03\x04" + saved(noise()),
            saved(noise(), "GIF"),
            saved(noise(), "BMP"),
            saved(noise(), "TIFF"),
            saved(noise(), "ICO"),
            b"RIFF\0\0\0\0WEBP",
            b"RIFF\0\0\0\0WEBPVP8L",
            b"\xff\xd8\xff",
            a_png(0, 5, zlib.compress(b"")),
            a_png(5, 5, b"not zlib"),
            a_png(5, 5, zlib.compress(b"\0" * 20)),
            a_png(5, 5, zlib.compress(b"\0" * 80), colour_type=5),
            imaging.PNG_SIGNATURE + chunk(b"IEND", b""),
            imaging.PNG_SIGNATURE + chunk(b"IHDR", b"\0" * 3) + chunk(b"IEND", b""),
            saved(noise())[:33] + chunk(b"tEXt", b"") * 30_000 + saved(noise())[33:],
            saved(Image.new("I;16", (4, 4))),
        ],
        ids=lambda body: repr(body[:16]),
    )
    def test_what_is_no_picture_of_an_accepted_type(self, body: bytes):
        with pytest.raises(BadPicture):
            imaging.verify(body)

    @given(st.integers(0, 2000))
    @settings(deadline=None, max_examples=60)
    def test_a_png_cut_off_anywhere(self, kept: int):
        body = WHOLE_PNG[: kept % len(WHOLE_PNG)]
        with pytest.raises(BadPicture):
            imaging.verify(body)

    @given(st.integers(0, 10_000), st.integers(1, 255))
    @settings(deadline=None, max_examples=100)
    def test_a_png_with_one_byte_changed(self, place: int, flip: int):
        body = bytearray(WHOLE_PNG)
        body[place % len(body)] ^= flip
        with pytest.raises(BadPicture):
            imaging.verify(bytes(body))

    @pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
    @pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9])
    def test_a_jpeg_or_webp_cut_off(self, kind: str, share: float):
        body = saved(noise(), kind)
        with pytest.raises(BadPicture):
            imaging.verify(body[: int(len(body) * share)])

    @given(
        st.binary(max_size=200),
        st.sampled_from([b"", imaging.PNG_SIGNATURE, b"\xff\xd8\xff", b"RIFFxxxxWEBP"]),
    )
    @settings(deadline=None, max_examples=150)
    def test_no_bytes_raise_anything_else(self, noise_bytes: bytes, start: bytes):
        with pytest.raises(BadPicture):
            imaging.verify(start + noise_bytes)

    @given(st.integers(0, 10_000), st.integers(1, 255), st.sampled_from(["JPEG", "WEBP"]))
    @settings(deadline=None, max_examples=150)
    def test_a_damaged_picture_is_refused_or_still_a_whole_picture(self, place: int, flip: int, kind: str):
        body = bytearray(saved(Image.new("RGB", (12, 9), "red"), kind))
        body[place % len(body)] ^= flip
        try:
            picture = imaging.verify(bytes(body))
        except BadPicture:
            return
        assert opened(picture.png).size == (picture.width, picture.height)

    def test_a_picture_of_more_bytes_than_the_limit(self):
        with pytest.raises(BadPicture, match="bytes"):
            imaging.verify(saved(noise()) + b"\0" * imaging.MOST_BYTES)

    def test_a_picture_just_over_the_limit_of_pixels(self):
        within, beyond = (saved(Image.new("1", (width, 4000)), compress_level=1) for width in (4000, 4001))
        assert imaging.verify(within).width == 4000
        with pytest.raises(BadPicture, match="4001x4000"):
            imaging.verify(beyond)

    def test_moving_pictures(self):
        frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
        with pytest.raises(BadPicture, match="animation"):
            imaging.verify(saved(frames[0], "WEBP", save_all=True, append_images=frames[1:]))

    def test_of_a_moving_png_only_the_still_picture_is_kept(self):
        frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
        written = opened(imaging.verify(saved(frames[0], save_all=True, append_images=frames[1:])).png)
        assert not getattr(written, "is_animated", False)
        assert written.getpixel((4, 4)) == (255, 0, 0)

    def test_bombs_are_refused_without_taking_memory(self, tmp_path: Path):
        """All of them in one process that may use 512 MiB of address space."""
        for name, body in BOMBS.items():
            (tmp_path / name).write_bytes(body)
        script = (
            "import pathlib, sys\n"
            "from bot import imaging\n"
            "from bot.domain.errors import BadPicture\n"
            "for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):\n"
            "    try:\n        print(path.name, imaging.verify(path.read_bytes()).width)\n"
            "    except BadPicture:\n        print(path.name, 'refused')\n"
        )
        run = subprocess.run(
            [sys.executable, "-W", "error", "-c", script, str(tmp_path)],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (512 * 2**20,) * 2),
            check=False,
        )
        assert run.stderr == ""
        told = dict(line.rsplit(" ", 1) for line in run.stdout.splitlines())
        assert told.pop("png that never ends") in {"10", "refused"}
        assert told == dict.fromkeys(BOMBS.keys() - {"png that never ends"}, "refused")


class TestGrid:
    @pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 9])
    def test_every_picture_is_there_once_and_the_strip_above_it_has_a_number(self, number: int):
        colours = [(20 * index + 40, 200 - 20 * index, 30 * index % 255 + 1) for index in range(number)]
        sheet = opened(imaging.grid([saved(Image.new("RGB", (64, 48), colour)) for colour in colours]))
        counted = colours_of(sheet)
        assert [counted[colour] for colour in colours] == [64 * 48] * number

    def test_numbers_stand_beside_the_pictures_never_on_them(self):
        with_numbers = opened(imaging.grid([saved(Image.new("RGB", (64, 64), "red"))] * 2))
        from_red = ImageChops.difference(with_numbers, Image.new("RGB", with_numbers.size, "red"))
        box = from_red.convert("L").point([255] + [0] * 255).getbbox()
        assert box is not None
        left, top, right, bottom = box
        assert (right - left, bottom - top) == (2 * 64 + 12, 64)
        strip = with_numbers.crop((left, 0, right, top)).convert("L")
        halves = [strip.crop((0, 0, 64, top)), strip.crop((76, 0, 140, top))]
        assert all(any(half.histogram()[:100]) for half in halves), "no number above a picture"
        assert halves[0].tobytes() != halves[1].tobytes()

    @pytest.mark.parametrize("size", [(1024, 1024), (2048, 512), (512, 2048), (3000, 5), (5, 3000)])
    @pytest.mark.parametrize("number", [1, 2, 4])
    def test_no_side_is_longer_than_2048(self, size: tuple[int, int], number: int):
        sheet = opened(imaging.grid([saved(Image.new("RGB", size))] * number))
        assert max(sheet.size) <= imaging.GRID_SIDE

    def test_pictures_of_different_sizes_keep_their_shape(self):
        wide, tall = Image.new("RGB", (60, 20), "red"), Image.new("RGB", (20, 60), "blue")
        sheet = opened(imaging.grid([saved(wide), saved(tall)]))
        counted = colours_of(sheet)
        assert counted[(255, 0, 0)] == counted[(0, 0, 255)] == 1200

    def test_what_is_transparent_lies_on_white(self):
        image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
        ImageDraw.Draw(image).rectangle((0, 0, 9, 39), fill=(255, 0, 0, 255))
        counted = colours_of(opened(imaging.grid([saved(image)])))
        assert counted[(255, 0, 0)] == 400
        assert (0, 0, 0) not in counted

    def test_a_grid_carries_no_text_but_the_mark(self):
        texts = PngImagePlugin.PngInfo()
        texts.add_text("parameters", PROMPT)
        assert PROMPT.encode() not in imaging.grid([saved(noise(), pnginfo=texts)])

    def test_one_bad_picture_is_told(self):
        with pytest.raises(BadPicture):
            imaging.grid([saved(noise()), b"nothing"])

    def test_a_grid_of_nothing_is_a_mistake_of_the_caller(self):
        with pytest.raises(ValueError, match="pictures"):
            imaging.grid([])


WHOLE_PNG = saved(noise(size=(12, 9)))
