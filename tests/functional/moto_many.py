"""Keys of many versions in moto: what it does for each request to all of them, done once, or not at all.

Nothing that it answers changes.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from moto.core.serialize import AttributePicker, AttributePickerContext, XFormedAttributePicker
from moto.s3.models import FakeKey
from moto.s3.utils import _VersionedKeyStore


class _Listed(FakeKey):
    """An object as a list shows it. Its content stays with the object."""

    def __init__(self) -> None:
        raise NotImplementedError("it is made of an object that there is")

    def __del__(self) -> None:
        """The content is the object's own to dispose of."""


@contextmanager
def of_many_versions() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("moto.s3.models.copy", SimpleNamespace(copy=copy.copy, deepcopy=_all_listed))
        patch.setattr(_VersionedKeyStore, "setlist", _keep)
        for picker in (AttributePicker, XFormedAttributePicker):
            patch.setattr(picker, "get_possible_keys", _remembered(picker.get_possible_keys))
        yield


def _all_listed(versions: list[Any]) -> list[Any]:
    """Of every list of versions moto makes a deep copy of all that are in the bucket, contents included."""
    return [_listed(version) for version in versions]


def _listed(version: Any) -> Any:
    seen = object.__new__(_Listed if isinstance(version, FakeKey) else type(version))
    seen.__dict__.update(version.__dict__)
    return seen


def _keep(self: _VersionedKeyStore, key: str, kept: list[Any]) -> None:
    """With every new version moto looks through all of them, for each of them."""
    names = {id(version) for version in kept}
    for former in self.getlist(key, []):
        if id(former) not in names and hasattr(former, "dispose"):
            former.dispose()
    dict.__setitem__(self, key, kept)


def _remembered(possible_keys: Any) -> Any:
    """Moto works out anew for every member of every answer what it may be called in the object that it is
    taken from; of a plain dictionary that is always the same."""
    found: dict[tuple[int, str, int], tuple[list[str], object]] = {}

    def get_possible_keys(self: AttributePicker, context: AttributePickerContext) -> Iterator[str]:
        if type(context.obj) is not dict:
            return iter(possible_keys(self, context))
        which = (id(context.shape), context.key, id(self.alias_providers))
        if which not in found:
            # Kept, so that their names are not given to others.
            owners = (context.shape, self.alias_providers)
            found[which] = (list(possible_keys(self, context)), owners)
        return iter(found[which][0])

    return get_possible_keys
