"""The protocol holds on random walks; see walk.py for longer ones."""

from collections import Counter

from tests.unit.protocol.stack import Feature
from tests.unit.protocol.walk import broken, drawn, drawn_wide, shortened, walked


def test_every_key_converges() -> None:
    for seed in range(1000):
        script = drawn(seed)
        if broken(script):
            script = shortened(script)
            raise AssertionError(f"seed {seed}\n{broken(script)}\n\n{script}")


def test_wide_walks_see_every_feature_of_a_wider_world() -> None:
    """Whatever else becomes of them."""
    seen = Counter[Feature]()
    for seed in range(200):
        seen.update(walked(drawn_wide(seed)).seen)
    assert {feature for feature, times in seen.items() if times} == set(Feature)
