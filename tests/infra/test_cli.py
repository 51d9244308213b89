"""The `imagine` command line: what it prints, what it leaves behind and its exit status."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bot.domain.errors import ConfigError
from bot.local.home import Home
from infra.cli import COMMANDS, main
from infra.local.children import free_port, is_taken
from tests.scenarios.inference import Inference

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def inference() -> Iterator[Inference]:
    started = Inference().start()
    yield started
    started.engine.release()
    started.stop()


@pytest.fixture
def draw(inference: Inference, tmp_path: Path):
    """Runs `imagine draw` into `tmp_path/out`; returns the exit status."""

    def run(line: str, *options: str) -> int:
        out = ["-o", str(tmp_path / "out"), "--endpoint", inference.url]
        return main(["draw", f"{line} --width 64 --height 64 --steps 2", *out, *options])

    return run


def test_the_demos_environment_holds_what_the_command_line_imports():
    names = {
        part: set(
            re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements" / f"{part}.txt").read_text(), re.MULTILINE)
        )
        for part in ("cli", "demo")
    }

    assert "botocore" in names["cli"]
    assert names["cli"] <= names["demo"]


# help and usage


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])

    assert ended.value.code == 0
    assert f"imagine {command}" in capsys.readouterr().out


def test_the_command_line_names_every_module_of_its_folder(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["--help"])

    there = {path.name.removesuffix(".py") for path in (ROOT / "infra" / "commands").iterdir()}
    assert set(COMMANDS) == {name for name in there if not name.startswith("__")} - {"outcome"}
    told = capsys.readouterr().out
    assert all(f"{name} " in told and purpose in told for name, purpose in COMMANDS.items())


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [["config", "show"], ["models", "list", "--at", "nowhere", "--json"]])
def test_a_reader_that_goes_away_ends_a_command_quietly(words: list[str], unbuffered: str):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "infra.cli", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)

    assert (done.returncode, done.stderr) == (141, b"")


def test_a_broken_pipe_elsewhere_is_no_quiet_end(monkeypatch: pytest.MonkeyPatch):
    def broken(_: object) -> int:
        raise BrokenPipeError

    monkeypatch.setattr("infra.commands.config.run", broken)
    with pytest.raises(BrokenPipeError):
        main(["config", "show"])


def test_a_name_beyond_the_terminals_letters_is_spelt_out(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "infra.cli", "models", "init", str(tmp_path / "für")],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, b"")
    assert b"f\\xfcr" in done.stdout


HEAVY = ("PIL", "boto3", "botocore.session", "httpx", "infra.commands.", "numpy", "slack_bolt")


@pytest.mark.parametrize(
    ("words", "may"),
    [
        (["--help"], ()),
        (["paint"], ()),
        (["config", "show"], ("infra.commands.",)),
        (["slack", "manifest", "--help"], ("infra.commands.",)),
        (["jobs", "--help"], ("botocore.session", "infra.commands.")),
        (["secrets", "--help"], ("botocore.session", "infra.commands.")),
    ],
)
def test_a_command_starts_without_what_others_need(words: list[str], may: tuple[str, ...]):
    code = (
        "import sys\nfrom infra.cli import main\ntry:\n    main(sys.argv[1:])\n"
        "except SystemExit:\n    pass\nprint('loaded:', *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = done.stdout.rpartition("loaded: ")[2].split()

    assert [name for name in loaded if name.startswith(tuple(set(HEAVY) - set(may)))] == []


@pytest.mark.parametrize("words", [[], ["paint"], ["draw"], ["draw", "a fox", "--loud"], ["config", "hide"]])
def test_bad_usage_is_status_two(words: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(words)

    assert ended.value.code == 2
    assert "usage: imagine" in capsys.readouterr().err


# config show


def test_config_show_lists_every_setting_with_its_source(monkeypatch, capsys):
    monkeypatch.setenv("IMAGINE_STEPS", "33")
    assert main(["config", "show"]) == 0

    rows = capsys.readouterr().out.splitlines()
    assert re.search(r"IMAGINE_STEPS +33 +environment", "\n".join(rows))
    assert re.search(r"IMAGINE_SIZE +512 +default", "\n".join(rows))


def test_config_show_never_shows_a_secret(monkeypatch, capsys, tmp_path):
    (tmp_path / "settings.toml").write_text('slack_signing_secret = "hush-file"')
    monkeypatch.setenv("SLACK_BOT_TOKEN", "hush-env")
    for form in ([], ["--json"]):
        assert main(["config", "show", "--config", str(tmp_path / "settings.toml"), *form]) == 0

    shown = capsys.readouterr().out
    assert "hush" not in shown
    assert shown.count("not set") == 2 * 2


def test_config_show_for_programs_is_json(capsys):
    assert main(["config", "show", "--json"]) == 0

    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["IMAGINE_WINDOW"] == {
        "name": "IMAGINE_WINDOW",
        "value": "3",
        "source": "default",
        "secret": False,
    }
    assert rows["SLACK_BOT_TOKEN"]["secret"] is True


def test_a_wrong_setting_is_bad_usage_and_named(monkeypatch, capsys):
    monkeypatch.setenv("IMAGINE_STEPS", "many")

    assert main(["config", "show"]) == 2
    assert "IMAGINE_STEPS" in capsys.readouterr().err


# draw


def test_draw_writes_the_pictures_and_what_they_were_drawn_with(draw, inference, tmp_path, capsys):
    assert draw("a red fox --n 2 --seed 7") == 0

    names = capsys.readouterr().out.splitlines()
    (drawing,) = inference.engine.drawn
    for name, image in zip([name for name in names if name.endswith(".png")], drawing.images, strict=True):
        assert np.array_equal(np.asarray(Image.open(name).convert("RGB")), image)
    (sidecar,) = (tmp_path / "out").glob("*.json")
    assert json.loads(sidecar.read_text())["request"]["prompt"] == "a red fox"


def test_draw_tells_its_stages_and_no_bar_where_there_is_no_terminal(draw, inference, capsys):
    assert draw("a red fox") == 0

    told = capsys.readouterr().err
    assert "accepted" in told
    assert "drawing" in told
    assert "\x1b" not in told
    assert "[#" not in told


def test_draw_for_programs_is_one_json_object(draw, capsys):
    assert draw("a red fox --seed 7", "--json") == 0

    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert (told["outcome"], told["seeds"], captured.err) == ("ok", [7], "")
    assert Path(told["files"][0]).exists()


def test_draw_again_never_overwrites(draw, tmp_path):
    assert [draw("a red fox"), draw("a red fox")] == [0, 0]

    assert len(list((tmp_path / "out").glob("*.png"))) == 2


def test_a_drawing_that_fails_is_status_one_with_a_sentence(draw, inference, capsys):
    inference.engine.fail_next(RuntimeError("out of order"))

    assert draw("a red fox") == 1
    assert "failed inside the engine" in capsys.readouterr().err
    inference.engine.fail_next(RuntimeError("out of order"))
    assert draw("a red fox", "--json") == 1
    assert json.loads(capsys.readouterr().out)["outcome"] == "engine_failed"


def test_an_endpoint_that_is_down_is_status_one_with_a_sentence(draw, inference, capsys):
    inference.stop()

    assert draw("a red fox") == 1
    assert "could not be reached" in capsys.readouterr().err


def test_a_line_with_a_mistake_is_status_two_with_carets_and_the_line_that_works(draw, inference, capsys):
    assert draw("a red fox --stepz 9") == 2

    told = capsys.readouterr().err
    assert "^" * len("--stepz") in told
    assert 'this works: imagine draw "a red fox --steps 9' in told
    assert draw("a red fox --stepz 9", "--json") == 2
    assert json.loads(capsys.readouterr().out)["outcome"] == "refused"
    assert inference.engine.asked == []


def test_draw_goes_by_the_settings_as_the_bot_does(draw, inference, monkeypatch, tmp_path, capsys):
    (tmp_path / "blocked.txt").write_text("severed head\n")
    monkeypatch.setenv("IMAGINE_BLOCKED_PHRASES", str(tmp_path / "blocked.txt"))

    assert draw("a severed head") == 1
    assert "severed head" in capsys.readouterr().err
    assert inference.engine.asked == []


def test_an_address_that_is_none_is_bad_usage_and_said_to_be_typed(tmp_path, capsys):
    assert main(["draw", "a red fox", "-o", str(tmp_path), "--endpoint", "somewhere"]) == 2
    assert "from the command line: 'somewhere' must start with http://" in capsys.readouterr().err


def test_an_empty_line_is_told_without_a_caret_under_nothing(tmp_path, capsys):
    assert main(["draw", "", "-o", str(tmp_path), "--endpoint", "http://127.0.0.1:9"]) == 2
    told = capsys.readouterr().err
    assert "no words to draw" in told
    assert "^" not in told


def test_draw_starts_and_ends_an_inference_server_of_its_own(tmp_path, capsys):
    line = "a red fox --width 64 --height 64 --steps 2"

    assert main(["draw", line, "-o", str(tmp_path), "--engine", "pattern"]) == 0
    assert len(list(tmp_path.glob("*.png"))) == 1


def test_an_engine_nobody_knows_is_status_one_with_the_servers_words(tmp_path, capsys):
    assert main(["draw", "a red fox", "-o", str(tmp_path), "--engine", "oil"]) == 1
    assert "oil" in capsys.readouterr().err


# serve


def test_serve_without_tokens_names_what_is_missing(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGINE_HOME", str(tmp_path))

    assert main(["serve"]) == 2
    assert "SLACK_BOT_TOKEN is not set" in capsys.readouterr().err


def test_serve_with_a_settings_file_that_is_not_there_is_told(capsys, tmp_path):
    assert main(["serve", "--config", str(tmp_path / "nowhere.toml")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_a_home_has_one_bot_at_a_time(tmp_path):
    home = Home(tmp_path / "home")
    with pytest.raises(ConfigError, match="another bot works in"):
        Home(tmp_path / "home")
    home.close()

    Home(tmp_path / "home").close()


def test_a_killed_bot_leaves_its_home_open_for_the_next(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from bot.local.home import Home; "
        "held = Home(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(ConfigError):
            Home(tmp_path)
        process.kill()

    Home(tmp_path).close()


def test_a_home_that_is_a_file_is_told(tmp_path):
    (tmp_path / "home").write_text("")

    with pytest.raises(ConfigError, match="IMAGINE_HOME"):
        Home(tmp_path / "home")


# demo


@pytest.mark.parametrize("port", ["0", "70000", "-1"])
def test_a_port_that_is_none_is_bad_usage(port: str, capsys):
    assert main(["demo", f"--port={port}"]) == 2
    assert "is no port" in capsys.readouterr().err


def test_a_taken_port_is_a_clear_message(capsys, tmp_path):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]

        assert main(["demo", "--port", str(port), "--home", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert f"port {port} is taken" in told
    assert f"make demo PORT={port + 1}" in told


def test_a_folder_with_something_else_in_it_is_not_emptied(capsys, tmp_path):
    thesis = tmp_path / "thesis.txt"
    thesis.write_text("years of work")

    assert main(["demo", "--port", str(free_port()), "--home", str(tmp_path)]) == 2
    assert "would be emptied" in capsys.readouterr().err
    assert main(["demo", "--port", str(free_port()), "--home", str(thesis)]) == 2
    assert "is a file" in capsys.readouterr().err
    assert thesis.read_text() == "years of work"


def test_a_part_that_does_not_start_ends_the_demo_with_its_last_lines(capsys, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    try:
        port = free_port()
        assert main(["demo", "--port", str(port), "--engine", "oil", "--home", str(tmp_path / "demo")]) == 1
        assert main(["demo", "--port", str(port), "--engine", "oil", "--home", str(tmp_path / "demo")]) == 1
    finally:
        signal.signal(signal.SIGTERM, before)

    told = capsys.readouterr().err
    assert "the inference server ended with status" in told
    assert "oil" in told
    assert not is_taken(port)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_demo_says_what_to_do_and_ends_every_process_it_started(tmp_path, ending: signal.Signals):
    port, home = free_port(), tmp_path / "demo"
    command = [sys.executable, "-m", "infra.cli", "demo", "--port", str(port), "--engine", "pattern"]
    with subprocess.Popen(
        [*command, "--home", str(home)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        preexec_fn=_in_a_terminal,  # noqa: PLW1509  it only sets a signal
    ) as process:
        told = _until_told(process, "Ctrl-C")
        model = _address_of_model(home)
        page = urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read()
        with pytest.raises(ConfigError):
            Home(home / "bot")
        os.kill(process.pid, ending)
        assert process.wait(30) == 0

    assert f"http://127.0.0.1:{port}" in told
    assert "/imagine a red apple" in told
    assert b"<html" in page
    assert not is_taken(port)
    assert not is_taken(model)
    Home(home / "bot").close()


def _in_a_terminal() -> None:
    """A hang-up means something, also where these tests run under `nohup`."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _until_told(process: "subprocess.Popen[str]", last: str) -> str:
    """What a process printed up to the line with `last`."""
    lines: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if last in line:
            return "".join(lines)
    raise AssertionError("".join(lines))


def _address_of_model(home: Path) -> int:
    """The port of the demo's inference server, from its log."""
    deadline = time.monotonic() + 10
    while not (found := re.search(r"127\.0\.0\.1:(\d+)", (home / "inference-server.log").read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return int(found[1])
