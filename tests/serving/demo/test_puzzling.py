import numpy as np
import pytest
import torch
from model_kinds import PUZZLE, made
from serving_models import ANSWERING, AUXILIARY, serving_model

from hf_hmtl.serving.demo.overlay import GREEN, RED
from hf_hmtl.serving.demo.puzzling import SIDE, pictured, puzzle_head, solve

GRID = round(PUZZLE["shape"][0] ** 0.5)
TILES = GRID * GRID


class Knowing(torch.nn.Module):
    """Says of each slot what `told` makes of the pictures it is shown: (slots, places) logits."""

    def __init__(self, model, told):
        super().__init__()
        self.config, self.device, self._told = model.config, model.device, told

    def forward(self, pixel_values, views):
        ((head, rows),) = views.items()
        assert rows == (0, 1)
        return type("Output", (), {"predictions": {head: self._told(pixel_values)[None]}})


def numbered(side):
    """A picture whose tiles are as bright as their place, from 10 on in steps of 20."""
    places = (
        torch.arange(TILES).reshape(GRID, GRID).repeat_interleave(side // GRID, 0).repeat_interleave(side // GRID, 1)
    )
    return (10 + 20 * places).to(torch.uint8).expand(1, 3, side, side).contiguous()


def places_of(pixels):
    """The place that each slot's brightness tells."""
    tile = pixels.shape[-1] // GRID
    return ((pixels[0, 0, ::tile, ::tile].long() - 10) // 20).flatten()


@pytest.fixture
def model():
    return serving_model(heads=ANSWERING | AUXILIARY, side=12 * GRID)


def test_a_network_that_knows_puts_every_tile_back(model):
    def told(pixels):
        return 10.0 * torch.nn.functional.one_hot(places_of(pixels), TILES)

    pixels = numbered(12 * GRID)
    solved = solve(Knowing(model, told), "puzzle", pixels, seed=1)
    assert solved.right == TILES and np.array_equal(solved.put_back, pixels[0].permute(1, 2, 0).numpy())
    assert not np.array_equal(solved.shuffled, solved.put_back) and (solved.confidence > 0.99).all()


def test_every_place_is_taken_once_though_a_network_says_one_place_of_all(model):
    logits = torch.zeros(TILES, TILES)
    logits[:, 0] = 3
    logits[2, 0] = 4
    solved = solve(Knowing(model, lambda _: logits), "puzzle", numbered(12 * GRID), seed=1)
    assert sorted(solved.answers) == list(range(TILES)) and solved.answers[2] == 0
    assert solved.confidence[2] == pytest.approx(np.exp(4) / (np.exp(4) + TILES - 1))
    assert 0 <= solved.right < TILES


def test_it_asks_the_real_head_and_a_seed_is_a_puzzle(model):
    pixels = torch.randint(256, (1, 3, 12 * GRID, 12 * GRID), dtype=torch.uint8)
    one, same, other = (solve(model.eval(), "puzzle", pixels, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.sources, same.sources) and np.array_equal(one.answers, same.answers)
    assert not np.array_equal(one.sources, other.sources)
    with torch.inference_mode():
        logits = model(torch.from_numpy(one.shuffled).permute(2, 0, 1)[None], views={"puzzle": (0, 1)}).predictions[
            "puzzle"
        ][0]
    slots = np.arange(TILES)
    assert np.allclose(one.confidence, logits.softmax(1).numpy()[slots, one.answers], atol=1e-6)


def test_frames_tell_what_is_right(model):
    def told(pixels):
        places = places_of(pixels)
        wrong = places.clone()
        wrong[places == 0], wrong[places == 1] = 1, 0
        return 10.0 * torch.nn.functional.one_hot(wrong, TILES)

    shuffled, put_back = pictured(solve(Knowing(model, told), "puzzle", numbered(12 * GRID), seed=3))
    assert shuffled.size == put_back.size == (SIDE, SIDE)
    tile = SIDE // GRID
    colours = [put_back.getpixel((place % GRID * tile + 2, place // GRID * tile + tile // 2)) for place in range(TILES)]
    assert colours == [RED, RED, *[GREEN] * (TILES - 2)]


def test_the_head_is_found_among_all_kinds():
    assert puzzle_head(serving_model(heads=ANSWERING | AUXILIARY).config) == "puzzle"
    assert puzzle_head(serving_model().config) is None
    assert puzzle_head(made("classification").slim().config) is None
