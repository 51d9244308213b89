"""One misbehaving webui for each failure: what the caller is told, and that drawing goes on after it."""

import logging
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from container.serving.engine import UpscaleRequest
from container.serving.errors import (
    Cancelled,
    EngineCrash,
    NotReady,
    NotSupported,
    OutOfMemory,
    Stuck,
    UnknownName,
)
from container.webui.engine import WebuiEngine
from tests.container.served import eventually
from tests.container.webui.standins import (
    SOURCE,
    asked,
    no_step,
    process_ended,
    processes,
    received,
    settings,
    webui,
)

SHORT = 1.5
"""Seconds without progress that end a drawing: little to wait for, and enough for one that goes well."""
TROUBLE = "trouble with secret words"


def draws(engine):
    return len(engine.generate(asked(), on_step=no_step).images) == 1


def fails(engine, error, **fields):
    with pytest.raises(error) as failed:
        engine.generate(asked(**{"prompt": TROUBLE, **fields}), on_step=no_step)
    assert "secret" not in str(failed.value)
    return failed.value


def fails_to_start(folder, *trouble, **changed):
    with pytest.raises(EngineCrash) as failed, webui(folder, *trouble, **changed):
        pass
    return failed.value.message


@pytest.fixture(scope="module")
def engine(shared_models):
    """Its troubles come one at a time: the last one named in the prompt."""
    with webui(shared_models, "by-name", failures_until_restart=1000) as engine:
        yield engine


class TestStarting:
    def test_a_webui_that_dies_at_start_is_told_with_its_last_words_in_the_log(self, models, caplog):
        caplog.set_level(logging.INFO, "container")
        assert "ended while starting, with status 1" in fails_to_start(models, "dies-at-start")
        eventually(lambda: "Torch is not able to use GPU" in caplog.text)

    def test_a_webui_that_never_answers_is_given_up(self, models):
        assert "did not answer within 0.3 seconds" in fails_to_start(models, "never-ready", start_s=0.3)

    def test_one_that_is_given_up_is_ended(self, models):
        engine = WebuiEngine(models, settings=settings("never-ready", start_s=0.5))
        with pytest.raises(EngineCrash):
            engine.setup()
        process = engine._running._process._process
        assert process.returncode == -signal.SIGKILL
        engine.close()

    def test_an_interpreter_that_is_not_there_is_told(self, models):
        assert "ended while starting" in fails_to_start(models, python="/nowhere/python")

    @pytest.mark.parametrize(
        ("flag", "named"), [("--disable-safe-unpickle", "disable_safe_unpickle"), ("--listen", "listen")]
    )
    def test_an_unsafe_flag_keeps_webui_from_being_used(self, models, flag, named):
        assert f"unsafe settings: {named};" in fails_to_start(models, flags=(flag,))

    def test_a_folder_without_checkpoints_is_told(self, tmp_path):
        assert "put one into Stable-diffusion/" in fails_to_start(tmp_path)

    def test_before_it_is_set_up_it_cannot_draw(self, models):
        engine = WebuiEngine(models, settings=settings())
        with pytest.raises(NotReady):
            engine.generate(asked(), on_step=no_step)

    def test_it_can_be_set_up_anew(self, models):
        with webui(models) as engine:
            before = processes(engine)
            engine.setup()
            assert processes(engine) != before
            assert draws(engine)
            eventually(lambda: all(process_ended(number) for number in before))

    def test_urls_are_off_though_webuis_own_default_is_on(self, models):
        with webui(models) as engine:
            assert engine._supervisor().api().get("/sdapi/v1/options")["api_enable_requests"] is False


class TestAnswers:
    @pytest.mark.parametrize(
        ("trouble", "error", "said"),
        [
            ("oom", OutOfMemory, "does not fit into webui's memory"),
            ("crash", EngineCrash, "status 500 (RuntimeError)"),
            ("null-body", EngineCrash, "status 500"),
            ("html", EngineCrash, "not JSON"),
            ("error-in-200", EngineCrash, "status 200"),
            ("wrong-count", EngineCrash, "answered 2 pictures, not 1"),
            ("wrong-size", EngineCrash, "another type or size"),
            ("broken-picture", EngineCrash, "another type or size"),
            ("other-seeds", EngineCrash, "other seeds"),
            ("no-info", EngineCrash, "without an account"),
            ("not-a-list", EngineCrash, "no list of pictures"),
        ],
    )
    def test_each_failure_is_a_typed_error_and_the_next_request_draws(self, engine, trouble, error, said):
        failure = fails(engine, error, prompt=f"{TROUBLE} {trouble}")
        assert said in failure.message
        assert draws(engine)

    def test_a_kept_former_model_is_an_error(self, shared_models):
        with webui(shared_models, "keeps-model") as engine:
            failure = fails(engine, EngineCrash, model="anime/second.safetensors")
            assert "another model" in failure.message

    @pytest.mark.parametrize("dialect", ["1.10", "forge"])
    def test_a_kept_former_vae_is_an_error(self, shared_models, dialect):
        with webui(shared_models, "keeps-vae", dialect=dialect) as engine:
            assert "another VAE" in fails(engine, EngineCrash, vae="soft.safetensors").message

    def test_a_sampler_it_lacks_is_an_unknown_name(self, engine):
        fails(engine, UnknownName, sampler_name="Restart")

    def test_an_upscaled_picture_of_a_wild_size_is_an_error(self, shared_models):
        request = UpscaleRequest(
            picture=np.zeros((64, 64, 3), np.uint8), upscaler_name="Lanczos", width=128, height=128
        )
        with webui(shared_models, "wrong-size") as engine, pytest.raises(EngineCrash):
            engine.upscale(request)

    def test_a_captioner_that_would_have_to_be_downloaded_is_plainly_said(self, shared_models):
        with (
            webui(shared_models, "no-captioner") as engine,
            pytest.raises(NotSupported, match="build them into the image"),
        ):
            engine.interrogate(np.zeros((64, 64, 3), np.uint8))


class TestSupervision:
    def test_after_a_death_mid_draw_it_is_started_again(self, models):
        with webui(models, "dies-mid-draw") as engine:
            before = processes(engine)
            fails(engine, EngineCrash)
            assert draws(engine)
            assert processes(engine) != before

    def test_a_webui_killed_between_requests_is_started_again(self, models):
        with webui(models) as engine:
            before = processes(engine)
            os.kill(before[0], signal.SIGKILL)
            eventually(lambda: process_ended(before[0]))
            eventually(lambda: ended_and_back(engine, before))
            assert draws(engine)

    def test_failures_in_a_row_restart_it(self, models):
        with webui(models, "crash", failures_until_restart=2) as engine:
            before = processes(engine)
            fails(engine, EngineCrash)
            assert processes(engine) == before
            fails(engine, EngineCrash)
            assert draws(engine)
            assert processes(engine) != before

    def test_a_success_between_failures_does_not(self, models):
        with webui(models, "crash", failures_until_restart=2) as engine:
            before = processes(engine)
            for _ in range(3):
                fails(engine, EngineCrash)
                assert draws(engine)
            assert processes(engine) == before

    def test_a_hanging_webui_is_interrupted(self, models):
        with webui(models, "hangs", silent_s=SHORT) as engine:
            assert draws(engine)
            before = processes(engine)
            failure = fails(engine, Stuck)
            assert f"no progress for {SHORT} seconds" in failure.message
            assert draws(engine)
            assert processes(engine) == before

    def test_one_that_ignores_it_is_ended_and_started_again(self, models):
        with webui(models, "hangs", "ignores-interrupt", silent_s=SHORT, interrupt_s=0.2) as engine:
            assert draws(engine)
            before = processes(engine)
            fails(engine, Stuck)
            assert draws(engine)
            eventually(lambda: all(process_ended(number) for number in before))

    def test_its_first_picture_may_wait_for_the_model(self, models):
        with webui(models, "loads-slowly", silent_s=0.1) as engine:
            assert draws(engine)

    def test_a_request_that_takes_too_long_in_all_is_stopped(self, models):
        with webui(models, "watched", request_s=SHORT) as engine:
            assert draws(engine)
            failure = fails(engine, Stuck, steps=150, prompt="slow")
            assert f"not done after {SHORT} seconds" in failure.message
            assert draws(engine)

    def test_a_cancel_that_webui_ignores_ends_it(self, models):
        def stop(_done, _steps):
            raise Cancelled("stopped between steps")

        with webui(models, "watched", "ignores-interrupt", interrupt_s=0.2) as engine:
            before = processes(engine)
            with pytest.raises(Cancelled):
                engine.generate(asked(steps=50), on_step=stop)
            assert draws(engine)
            assert processes(engine) != before

    def test_one_that_does_not_come_back_is_told_as_a_crash(self, models):
        with webui(models, "dies-mid-draw", restart_s=0.2, first_pause_s=30.0) as engine:
            fails(engine, EngineCrash)
            failure = fails(engine, EngineCrash)
            assert "has not come back yet" in failure.message

    def test_closing_ends_webui_and_all_its_children(self, models):
        with webui(models, "leaves-children", stop_s=0.5) as engine:
            started = processes(engine)
        assert len(started) == 2
        eventually(lambda: all(process_ended(number) for number in started))

    def test_a_dead_webuis_children_are_ended_too(self, models):
        with webui(models, "leaves-children", "dies-mid-draw") as engine:
            started = processes(engine)
            fails(engine, EngineCrash)
            assert draws(engine)
            eventually(lambda: all(process_ended(number) for number in started))

    def test_a_killed_server_takes_webui_with_it(self, models):
        """SIGKILL leaves it no time to end anything."""
        script = textwrap.dedent(f"""
            import pathlib, signal
            from tests.container.webui.standins import processes, settings
            from container.webui.engine import WebuiEngine
            engine = WebuiEngine(pathlib.Path({str(models)!r}), settings=settings("leaves-children"))
            engine.setup()
            print(*processes(engine), flush=True)
            signal.pause()
        """)
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as server:
            started = [int(number) for number in server.stdout.readline().split()]
            server.kill()
        assert len(started) == 2
        eventually(lambda: all(process_ended(number) for number in started))

    def test_a_server_that_ends_takes_webui_with_it(self, models):
        script = textwrap.dedent(f"""
            import pathlib
            from tests.container.webui.standins import processes, settings
            from container.webui.engine import WebuiEngine
            engine = WebuiEngine(pathlib.Path({str(models)!r}), settings=settings())
            engine.setup()
            print(*processes(engine), flush=True)
        """)
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        eventually(lambda: process_ended(int(done.stdout)))


def ended_and_back(engine, before):
    try:
        return processes(engine) != before
    except EngineCrash:
        return False


class TestWhatItSees:
    def test_its_environment_holds_no_credentials(self):
        from container.webui.settings import WebuiSettings

        environment = {
            "WEBUI_SOURCE": str(SOURCE),
            "WEBUI_FLAGS": "--medvram --xformers",
            "PATH": "/bin",
            "CUDA_VISIBLE_DEVICES": "0",
            "AWS_SECRET_ACCESS_KEY": "x",
            "SLACK_BOT_TOKEN": "x",
            "COMMANDLINE_ARGS": "--listen",
        }
        read = WebuiSettings.from_environment(environment)
        assert set(read.environment) == {"PATH", "CUDA_VISIBLE_DEVICES"}
        assert read.flags == ("--medvram", "--xformers")

    def test_a_folder_that_holds_no_webui_is_told(self, tmp_path):
        from container.webui.settings import WebuiSettings

        with pytest.raises(FileNotFoundError, match="set WEBUI_SOURCE"):
            WebuiSettings.from_environment({"WEBUI_SOURCE": str(tmp_path)})

    def test_models_are_read_in_place(self, models):
        with webui(models) as engine:
            flags = engine._supervisor().api().get("/sdapi/v1/cmd-flags")
            assert flags["ckpt_dir"] == str(models / "Stable-diffusion")
            assert flags["lora_dir"] == str(models / "Lora")
            assert flags["controlnet_dir"] == str(models / "ControlNet")
            draws(engine)
            assert received(engine)["override_settings"]["sd_model_checkpoint"] == "first.safetensors"

    def test_what_it_prints_never_reaches_ours(self, models, capfd, caplog):
        caplog.set_level(logging.DEBUG)
        with webui(models, "prints-prompt") as engine:
            assert len(engine.generate(asked(prompt=TROUBLE), on_step=no_step).images) == 1
        assert "Launching API server" in caplog.text  # what it says before it is sent anything is kept
        assert "secret" not in caplog.text + "".join(capfd.readouterr())
