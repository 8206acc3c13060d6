"""Lets the many clients of the tests share what botocore makes anew for each: what it reads from disk, the
classes of clients, the rules for endpoints, and the names of events. None of it changes once it is made.
Handlers of events, retries, credentials and connections stay each client's own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from inspect import CO_VARKEYWORDS
from typing import Any

import botocore.hooks
import botocore.regions
import pytest
from botocore.client import ClientCreator
from botocore.compat import accepts_kwargs
from botocore.endpoint_provider import EndpointProvider
from botocore.hooks import EventAliaser, HierarchicalEmitter, NodeList
from botocore.loaders import JSONFileLoader, Loader
from botocore.model import ServiceModel

# The stubs know nothing of what is private to them.
_hooks: Any = botocore.hooks
_creator: Any = ClientCreator

#: What a loader looks up on disk.
_LOOKED_UP = (
    "list_available_services",
    "list_api_versions",
    "determine_latest_version",
    "load_service_model",
    "load_data_with_path",
)


@contextmanager
def made_once() -> Iterator[None]:
    read = cache(JSONFileLoader().load_file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", lambda _self, path: read(path))
        for name in _LOOKED_UP:
            patch.setattr(Loader, name, _looked_up_once(getattr(Loader, name)))
        patch.setattr(ClientCreator, "_load_service_model", _modelled_once())
        patch.setattr(ClientCreator, "_create_client_class", _classed_once())
        patch.setattr(botocore.regions, "EndpointProvider", _ruled_once())
        named = cache(_hooks.EventAliaser(HierarchicalEmitter())._alias_event_name)
        patch.setattr(EventAliaser, "_alias_event_name", lambda _self, name: named(name))
        patch.setattr(_hooks._PrefixTrie, "__copy__", _copied)
        patch.setattr(botocore.hooks, "accepts_kwargs", _takes_any)
        yield


def _looked_up_once(look_up: Callable[..., Any]) -> Callable[..., Any]:
    known: dict[Any, Any] = {}

    def known_or_looked_up(self: Loader, *args: Any, **named: Any) -> Any:
        key = (tuple(self.search_paths), args, tuple(sorted(named.items())))
        if key not in known:
            known[key] = look_up(self, *args, **named)
        return known[key]

    return known_or_looked_up


def _modelled_once() -> Callable[..., ServiceModel]:
    made: dict[Any, ServiceModel] = {}

    def model(self: Any, service_name: str, api_version: str | None = None) -> ServiceModel:
        document = self._loader.load_service_model(service_name, "service-2", api_version=api_version)
        # Whoever keeps the document keeps its id from being given away.
        if id(document) not in made:
            made[id(document)] = ServiceModel(document, service_name=service_name)
        return made[id(document)]

    return model


def _classed_once() -> Callable[..., type]:
    make = _creator._create_client_class
    made: dict[ServiceModel, type] = {}

    def client_class(self: Any, service_name: str, service_model: ServiceModel) -> type:
        if service_model not in made:
            made[service_model] = make(self, service_name, service_model)
        return made[service_model]

    return client_class


def _ruled_once() -> Callable[..., EndpointProvider]:
    made: dict[Any, tuple[EndpointProvider, Any, Any]] = {}

    def provider(ruleset_data: Any, partition_data: Any, excluded_params: Any) -> EndpointProvider:
        key = (id(ruleset_data), id(partition_data), frozenset(excluded_params or ()))
        if key not in made:
            made[key] = (
                EndpointProvider(ruleset_data, partition_data, excluded_params),
                ruleset_data,
                partition_data,
            )
        return made[key][0]

    return provider


def _copied(trie: Any) -> Any:
    """Each client copies the handlers of its session. This is the same copy, made faster."""
    copy = _hooks._PrefixTrie()
    copy._root = _copied_node(trie._root)
    return copy


def _copied_node(node: dict[str, Any]) -> dict[str, Any]:
    handlers: NodeList | None = node["values"]
    return {
        "chunk": node["chunk"],
        "children": {chunk: _copied_node(child) for chunk, child in node["children"].items()},
        "values": handlers and NodeList(*map(list, handlers)),
    }


def _takes_any(handler: Any) -> bool:
    """Whether a handler takes arguments it does not name. Most tell without their signature being made."""
    code = getattr(handler, "__code__", None)
    return bool(code.co_flags & CO_VARKEYWORDS if code else accepts_kwargs(handler))
