"""Samplers against what they must do on problems whose answer is known."""

from itertools import pairwise

import numpy as np
import pytest

from container.embedded.noise import PictureNoise, batch_seeds, slerp
from container.embedded.samplers import SAMPLERS, NoiseSchedule

SHAPE = (4, 8, 8)
POINT = np.random.default_rng(5).standard_normal((1, *SHAPE)).astype(np.float32)


def walk(name: str, denoise, *, steps: int = 20, seed: int = 1, on_step=lambda _done, _all: None):
    schedule, sampler = NoiseSchedule(), SAMPLERS[name]
    noise = PictureNoise((seed,), (0,), 0.0, SHAPE)
    sigmas = sampler.sigmas(schedule, steps)
    return sampler.walk(denoise, noise.draw() * np.float32(sigmas[0]), sigmas, noise.draw, on_step)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_denoiser_that_knows_the_picture_is_led_to_it(name: str) -> None:
    assert np.abs(walk(name, lambda _x, _sigma: POINT) - POINT).max() < 1e-4


@pytest.mark.parametrize("name", SAMPLERS)
def test_gaussian_pictures_come_out_with_their_own_spread(name: str) -> None:
    """For normal pixels of deviation 0.5 the best denoiser is known: x * 0.25 / (0.25 + sigma^2)."""
    drawn = [
        walk(name, lambda x, sigma: x * np.float32(0.25 / (0.25 + sigma**2)), steps=60, seed=seed)
        for seed in range(30)
    ]
    assert 0.42 < np.std(drawn) < 0.58


def test_the_second_order_solver_is_closer_than_euler_with_few_steps() -> None:
    def denoise(x: np.ndarray, sigma: float) -> np.ndarray:
        return x * np.float32(0.25 / (0.25 + sigma**2))

    exact = walk("Euler Karras", denoise, steps=2000)
    errors = {
        name: np.abs(walk(name, denoise, steps=10) - exact).mean()
        for name in ("Euler Karras", "DPM++ 2M Karras")
    }
    assert errors["DPM++ 2M Karras"] < errors["Euler Karras"] / 2


def test_the_ancestral_second_order_solver_follows_the_exact_curve_down_between_its_noises() -> None:
    """Without fresh noise one step ends at sigma_down, on x * sqrt((v + down^2) / (v + sigma^2)), closely."""
    v, sigma, following = 0.25, 4.0, 3.0
    up = following * ((sigma**2 - following**2) / sigma**2) ** 0.5
    down = (following**2 - up**2) ** 0.5
    exact = POINT * ((v + down**2) / (v + sigma**2)) ** 0.5
    errors = {
        name: np.abs(
            SAMPLERS[name].walk(
                lambda x, level: x * np.float32(v / (v + level**2)),
                POINT,
                [sigma, following],
                lambda: np.zeros_like(POINT),
                lambda _done, _all: None,
            )
            - exact
        ).mean()
        for name in ("Euler a Karras", "DPM++ 2S a Karras")
    }
    assert errors["DPM++ 2S a Karras"] < errors["Euler a Karras"] / 5


@pytest.mark.parametrize("name", SAMPLERS)
def test_noise_levels_fall_to_zero_in_as_many_steps_as_asked(name: str) -> None:
    for steps in (1, 2, 20, 150):
        sigmas = SAMPLERS[name].sigmas(NoiseSchedule(), steps)
        assert len(sigmas) == steps + 1
        assert sigmas[-1] == 0
        assert all(high > low for high, low in pairwise(sigmas))


def test_noise_levels_are_those_of_stable_diffusion() -> None:
    """The ends quoted in k-diffusion and diffusers for SD 1.x."""
    sigmas = NoiseSchedule().uniform(20)
    assert sigmas[0] == pytest.approx(14.6146, abs=1e-3)
    assert sigmas[-2] == pytest.approx(0.0292, abs=1e-3)


def test_timesteps_and_noise_levels_convert_both_ways() -> None:
    schedule = NoiseSchedule()
    for timestep in (0.0, 0.5, 250.25, 999.0):
        assert schedule.timestep(float(schedule.sigma(timestep))) == pytest.approx(timestep, abs=1e-6)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_step_is_told_once_in_order(name: str) -> None:
    told: list[tuple[int, int]] = []
    walk(name, lambda _x, _sigma: POINT, steps=5, on_step=lambda done, all_: told.append((done, all_)))
    assert told == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


def test_seeds_of_a_batch_count_up_and_wrap() -> None:
    assert batch_seeds(2**32 - 1, 7, 0.0, 3) == ((2**32 - 1, 0, 1), (7, 8, 9))


def test_a_variation_keeps_the_seed_and_counts_up_the_subseed() -> None:
    assert batch_seeds(5, 7, 0.3, 3) == ((5, 5, 5), (7, 8, 9))


def test_a_weak_variation_starts_near_the_seed_and_a_full_one_at_the_subseed() -> None:
    base = PictureNoise((1,), (2,), 0.0, SHAPE).draw()
    near = PictureNoise((1,), (2,), 0.1, SHAPE).draw()
    far = PictureNoise((1,), (2,), 1.0, SHAPE).draw()
    assert 0 < np.abs(near - base).mean() < np.abs(far - base).mean()
    assert np.allclose(far, PictureNoise((2,), (0,), 0.0, SHAPE).draw(), atol=1e-6)


def test_a_variation_leans_in_the_later_noise_of_ancestral_samplers_too() -> None:
    full, own = PictureNoise((1,), (2,), 1.0, SHAPE), PictureNoise((2,), (0,), 0.0, SHAPE)
    for _ in range(3):
        assert np.allclose(full.draw(), own.draw(), atol=1e-6)


def test_noise_between_two_noises_keeps_its_strength() -> None:
    streams = np.random.default_rng(0)
    low, high = streams.standard_normal((2, *SHAPE)).astype(np.float32)
    assert np.std(slerp(low, high, 0.5)) == pytest.approx(1.0, abs=0.1)


def test_a_picture_has_the_same_noise_alone_and_in_a_batch() -> None:
    batch = PictureNoise((3, 4), (0, 0), 0.0, SHAPE)
    alone = PictureNoise((4,), (0,), 0.0, SHAPE)
    assert (batch.draw()[1] == alone.draw()[0]).all()
    assert (batch.draw()[1] == alone.draw()[0]).all()
