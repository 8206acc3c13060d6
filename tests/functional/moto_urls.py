"""Where moto's services answer: it would put that together anew for each request."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from moto.core.base_backend import BaseBackend


@contextmanager
def found_once() -> Iterator[None]:
    find = vars(BaseBackend)["urls"].fget
    found: dict[type[BaseBackend], Any] = {}

    def urls(self: BaseBackend) -> Any:
        if type(self) not in found:
            found[type(self)] = find(self)
        return found[type(self)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseBackend, "urls", property(urls))
        yield
