"""The protocol holds on random walks; see walk.py for longer ones."""

from tests.unit.protocol.walk import broken, drawn, shortened


def test_every_key_converges() -> None:
    for seed in range(1000):
        script = drawn(seed)
        if broken(script):
            script = shortened(script)
            raise AssertionError(f"seed {seed}\n{broken(script)}\n\n{script}")
