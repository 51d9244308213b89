"""Samplers against problems whose answer is known, and against diffusers' own classes."""

import math
from itertools import pairwise

import diffusers
import numpy as np
import pytest
import torch

from container.diffusers_engine.noise import PictureNoise, Seed, slerp
from container.diffusers_engine.samplers import SAMPLERS, Walk, ancestral, with_returns
from container.diffusers_engine.sigmas import SCHEDULES, NoiseLevels

SHAPE = (4, 8, 8)
POINT = torch.randn((1, *SHAPE), generator=torch.Generator().manual_seed(5))
BETAS = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
SIGNAL = np.cumprod(1 - BETAS)
MODEL = NoiseLevels(SIGNAL)
ZERO_SNR = NoiseLevels([*SIGNAL[:-1], 0.0])
SPREAD = 0.5

TABLE = [(name, schedule) for name, each in SAMPLERS.items() for schedule in ("Automatic", *each.schedules)]
WITHOUT_NOISE = ("Euler", "LMS", "Heun", "DPM2", "DPM++ 2M", "PLMS", "UniPC", "DDIM")


def gaussian(x, sigma):
    """The best denoiser for normal pixels of deviation SPREAD."""
    return x * (SPREAD**2 / (SPREAD**2 + sigma**2))


def knows_the_point(x, _sigma):
    return POINT.expand_as(x)


def noise_of(*seeds):
    return PictureNoise([Seed(seed=seed, subseed=0) for seed in seeds], SHAPE, torch.device("cpu"))


def walk(name, denoise, *, schedule="Automatic", steps=20, seeds=(1,), eta=None, told=None, levels=None):
    sampler, noise = SAMPLERS[name], noise_of(*seeds)
    levels = levels or sampler.levels(MODEL, schedule, steps)
    tell = (lambda *step: told.append(step)) if told is not None else (lambda _done, _all: None)
    eta = (sampler.eta or 0.0) if eta is None else eta
    start = noise.first() * levels[0]
    return sampler.method(Walk(denoise=denoise, noise=noise.fresh, after_step=tell, eta=eta), start, levels)


@pytest.mark.parametrize(("name", "schedule"), TABLE)
def test_a_denoiser_that_knows_the_picture_is_led_to_it(name, schedule):
    assert (walk(name, knows_the_point, schedule=schedule, steps=8) - POINT).abs().max() < 1e-3


@pytest.mark.parametrize(("name", "schedule"), [row for row in TABLE if row[0] != "LCM"])
def test_gaussian_pictures_come_out_with_their_own_spread(name, schedule):
    drawn = walk(name, gaussian, schedule=schedule, steps=80, seeds=tuple(range(12)))
    assert float(drawn.std()) == pytest.approx(SPREAD, rel=0.2)


def test_lcm_noises_each_estimate_anew_to_the_following_level():
    seen = []

    def remembers(x, _sigma):
        seen.append(x)
        return POINT.expand_as(x)

    walk("LCM", remembers, levels=[10.0, 4.0, 1.0, 0.0], seeds=range(20))
    assert [round(float((x - POINT).std()), 1) for x in seen[1:]] == [4.0, 1.0]


@pytest.mark.parametrize(("name", "schedule"), TABLE)
def test_noise_levels_fall_to_zero_in_as_many_steps_as_asked(name, schedule):
    for model in (MODEL, ZERO_SNR):
        for steps in (1, 2, 20, 150):
            levels = SAMPLERS[name].levels(model, schedule, steps)
            assert len(levels) == steps + 1
            assert levels[-1] == 0
            assert all(high > low for high, low in pairwise(levels))


@pytest.mark.parametrize(("name", "schedule"), TABLE)
def test_schedules_of_one_sampler_differ(name, schedule):
    """None is ignored: each but the two webui has under two names walks levels of its own."""
    same = {"Polyexponential": "Exponential", "Normal": "Uniform"}
    mine = SAMPLERS[name].levels(MODEL, schedule, 12)
    for other in SAMPLERS[name].schedules:
        if "Automatic" not in (schedule, other) and same.get(other, other) != same.get(schedule, schedule):
            assert SAMPLERS[name].levels(MODEL, other, 12) != mine


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_batch_draws_what_single_walks_draw(name):
    together = walk(name, gaussian, seeds=(3, 4, 5), steps=6)
    for place, seed in enumerate((3, 4, 5)):
        assert torch.equal(together[place], walk(name, gaussian, seeds=(seed,), steps=6)[0])


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_step_is_told_once_in_order(name):
    told: list[tuple[int, int]] = []
    walk(name, gaussian, steps=5, told=told)
    assert told == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


@pytest.mark.parametrize("name", [name for name, each in SAMPLERS.items() if each.eta is not None])
def test_eta_changes_the_picture_and_none_of_it_means_no_noise(name):
    assert not torch.equal(walk(name, gaussian, eta=0.5), walk(name, gaussian, eta=1.0))
    start = noise_of(1).first()
    quiet = [
        SAMPLERS[name].method(
            Walk(denoise=gaussian, noise=lambda noise=noise: noise, after_step=lambda _d, _a: None, eta=0.0),
            start,
            [4.0, 2.0, 1.0, 0.5, 0.0],
        )
        for noise in (torch.zeros(1), torch.ones(1))
    ]
    assert torch.equal(*quiet)


@pytest.mark.parametrize("name", WITHOUT_NOISE)
def test_small_steps_end_where_the_exact_curve_does(name):
    """From level a to 0 the flow shrinks a Gaussian's x by sqrt(v / (v + a^2))."""
    start = noise_of(1).first() * MODEL.highest
    exact = start * math.sqrt(SPREAD**2 / (SPREAD**2 + MODEL.highest**2))
    error = (walk(name, gaussian, schedule="Karras", steps=300) - exact).abs().mean()
    assert error < 0.02 * exact.abs().mean()


@pytest.mark.parametrize("name", ["Heun", "DPM2", "DPM++ 2M", "UniPC", "LMS"])
def test_higher_orders_are_closer_than_euler_with_few_steps(name):
    exact = noise_of(1).first() * MODEL.highest * math.sqrt(SPREAD**2 / (SPREAD**2 + MODEL.highest**2))
    errors = {
        each: float((walk(each, gaussian, schedule="Karras", steps=12) - exact).abs().mean())
        for each in ("Euler", name)
    }
    assert errors[name] < errors["Euler"] / 1.5


class Scheduler:
    """One of diffusers' schedulers walked with the same denoiser from the same noise."""

    def __init__(self, name, **options):
        base = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
        self.scheduler = getattr(diffusers, name)(**base, **options)

    def last_seen(self, steps):
        """What the denoiser is given last, and the levels; UniPC's own last step to 0 yields no number."""
        scheduler = self.scheduler
        scheduler.set_timesteps(steps)
        x = noise_of(1).first() * scheduler.init_noise_sigma
        fresh = torch.Generator("cpu").manual_seed(1)
        torch.randn(SHAPE, generator=fresh)
        for timestep in scheduler.timesteps:
            sigma = float(np.exp(np.interp(float(timestep), np.arange(1000), np.log(MODEL.sigmas))))
            scaled = scheduler.scale_model_input(x, timestep)
            noised = scaled * math.sqrt(sigma**2 + 1)  # a model sees x / sqrt(sigma^2 + 1)
            seen = noised
            predicted = (noised - gaussian(noised, sigma)) / sigma
            x = scheduler.step(predicted, timestep, x, **self._generator(fresh)).prev_sample
        return seen, [float(level) for level in scheduler.sigmas]

    def _generator(self, fresh):
        names = type(self.scheduler).step.__code__.co_varnames
        return {"generator": fresh} if "generator" in names else {}


KARRAS = {"use_karras_sigmas": True}


SDE = {"algorithm_type": "sde-dpmsolver++", "lower_order_final": False}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers' own
@pytest.mark.parametrize(
    ("name", "peer", "options"),
    [
        ("Euler", "EulerDiscreteScheduler", KARRAS),
        ("DPM++ 2M", "DPMSolverMultistepScheduler", KARRAS | {"lower_order_final": False}),
        ("DPM++ 2M SDE", "DPMSolverMultistepScheduler", KARRAS | SDE),
        ("DPM++ 2M SDE Heun", "DPMSolverMultistepScheduler", KARRAS | SDE | {"solver_type": "heun"}),
        ("UniPC", "UniPCMultistepScheduler", KARRAS | {"solver_order": 3, "solver_type": "bh1"}),
        ("Euler a", "EulerAncestralDiscreteScheduler", {}),
    ],
)
def test_diffusers_draws_the_same_with_the_same_levels_and_noise(name, peer, options):
    theirs, levels = Scheduler(peer, **options).last_seen(12)
    seen = []

    def remembers(x, sigma):
        seen.append(x)
        return gaussian(x, sigma)

    walk(name, remembers, levels=levels)
    assert len(seen) == 12
    assert (seen[-1] - theirs).abs().max() < 0.01 * theirs.abs().max()


def test_ancestral_steps_end_at_the_level_they_lead_to():
    for eta in (0.0, 0.4, 1.0):
        down, up = ancestral(5.0, 3.0, eta)
        assert math.hypot(down, up) == pytest.approx(3.0)
        assert (up == 0) == (eta == 0)


def test_half_a_step_of_brownian_noise_is_part_of_the_whole():
    """With one stream of noise only, DPM++ SDE's two increments correlate as they must."""
    drawn = []
    sampler, noise = SAMPLERS["DPM++ SDE"], noise_of(*range(200))
    levels = [8.0, 2.0, 0.0]

    def remembers(x, _sigma):
        drawn.append(x)
        return torch.zeros_like(x)

    start = torch.zeros((200, *SHAPE))
    sampler.method(
        Walk(denoise=remembers, noise=noise.fresh, after_step=lambda _d, _a: None, eta=1.0), start, levels
    )
    _, halfway, whole = drawn
    expected = math.sqrt((8 - 4) / (8 - 2))
    pair = torch.stack([halfway.flatten(), whole.flatten()])
    assert float(torch.corrcoef(pair)[0, 1]) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(("steps", "returns"), [(19, 0), (20, 1), (35, 1), (36, 2), (60, 2)])
def test_restart_returns_as_often_as_webui(steps, returns):
    levels = with_returns(SAMPLERS["Restart"].levels(MODEL, "Automatic", steps))
    rises = [(low, high) for low, high in pairwise(levels) if high > low]
    assert len(rises) == returns
    assert len(levels) - 1 - len(rises) == steps
    assert all(low < 0.25 and 1.5 < high < 2.7 for low, high in rises)


def test_noise_levels_are_those_of_stable_diffusion():
    """The ends quoted in k-diffusion and diffusers for SD 1.x."""
    levels = SCHEDULES["Uniform"](MODEL, 20)
    assert levels[0] == pytest.approx(14.6146, abs=1e-3)
    assert levels[-2] == pytest.approx(0.0292, abs=1e-3)


def test_beta_levels_are_quantiles_of_the_beta_distribution():
    """As scipy.stats.beta.ppf(share, 0.6, 0.6) has them for shares 1, 3/4, 1/2, 1/4, 0."""
    quantiles = [1.0, 0.82432, 0.5, 0.17568, 0.0]
    expected = [MODEL.lowest + share * (MODEL.highest - MODEL.lowest) for share in quantiles]
    assert SCHEDULES["Beta"](MODEL, 5)[:-1] == pytest.approx(expected, abs=1e-3)


def test_published_levels_are_met_exactly():
    levels = SCHEDULES["Align Your Steps"](NoiseLevels(SIGNAL, is_sdxl=True), 11)
    assert levels[:3] == pytest.approx([14.615, 6.315, 3.771])


def test_timesteps_and_noise_levels_convert_both_ways():
    for timestep in (0.0, 0.5, 250.25, 999.0):
        sigma = float(MODEL.sigma(np.array(timestep)))
        assert MODEL.timestep(sigma) == pytest.approx(timestep, abs=1e-6)


def test_zero_terminal_snr_has_a_finite_highest_level():
    assert 1000 < ZERO_SNR.highest < 10_000


def test_a_weak_variation_starts_near_the_seed_and_a_full_one_at_the_subseed():
    def start(seed, subseed, variation):
        chosen = Seed(seed=seed, subseed=subseed, variation=variation)
        return PictureNoise([chosen], SHAPE, torch.device("cpu")).first()

    base, near, far = start(1, 2, 0.0), start(1, 2, 0.1), start(1, 2, 1.0)
    assert 0 < (near - base).abs().mean() < (far - base).abs().mean()
    assert torch.allclose(far, start(2, 0, 0.0), atol=1e-5)


def test_noise_between_two_noises_keeps_its_strength():
    low, high = torch.randn((2, *SHAPE), generator=torch.Generator().manual_seed(0))
    assert float(slerp(low, high, 0.5).std()) == pytest.approx(1.0, abs=0.1)
