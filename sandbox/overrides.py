"""Settings that can be changed while the sandbox runs: the configuration's, with what the store has over them."""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from sandbox.problems import first_problem
from sandbox.store import Store

Settings = TypeVar("Settings", bound=BaseModel)


class Overrides(Generic[Settings]):
    """The settings of one vendor. `settings` are those now in force."""

    def __init__(self, store: Store, name: str, defaults: Settings) -> None:
        self._store, self._name, self._defaults = store, name, defaults
        self.read()

    def read(self) -> None:
        """Take what the store has: after a start, and after it was cleared."""
        self.settings = self._merged({})

    def change(self, changes: Mapping[str, Any]) -> Settings:
        """Override some settings until the next reset. Raises ValueError that names the field, and changes nothing."""
        unknown = set(changes) - set(type(self._defaults).model_fields)
        if unknown:
            raise ValueError(f"{sorted(unknown)[0]} is not a setting.")
        try:
            merged = self._merged(changes)
        except ValidationError as error:
            raise ValueError(first_problem(error)) from error
        shown = merged.model_dump(mode="json")
        stored = {**self._store.setting(self._name), **changes}
        self._store.put_setting(self._name, {key: shown[key] for key in stored})
        self.settings = merged
        return merged

    def _merged(self, changes: Mapping[str, Any]) -> Settings:
        values = {**self._defaults.model_dump(), **self._store.setting(self._name), **changes}
        return type(self._defaults).model_validate(values)
