"""The profiles that ship with the gateway, and the owner's own; an own one may not hide another."""

import difflib
from importlib import resources
from pathlib import Path

from gateway.errors import ProfileError
from gateway.profiles.loading import load_profile
from gateway.profiles.profile import Profile

SHIPPED = Path(str(resources.files("device_profiles")))


class ProfileLibrary:
    """Finds profiles by name. Files are found when it is made, and each is read once, when asked for."""

    def __init__(self, folder: Path | None = None) -> None:
        self._files = {path.stem: path for path in sorted(SHIPPED.glob("*/*.yaml"))}
        own = {path.stem: path for path in sorted(folder.glob("*.yaml"))} if folder else {}
        self._hiding = {name: own[name] for name in own.keys() & self._files.keys()}
        self._files |= own
        self._loaded: dict[str, Profile] = {}

    def names(self) -> list[str]:
        """Return the names of all profiles, sorted."""
        return sorted(self._files)

    def get(self, name: str) -> Profile:
        """Return a profile; raise `ProfileError` for an unknown name or a file that is wrong."""
        if name in self._loaded:
            return self._loaded[name]
        if name in self._hiding:
            raise ProfileError(
                f"{self._hiding[name]}: {name} ships with the gateway; rename your file"
            )
        path = self._files.get(name)
        if path is None:
            near = difflib.get_close_matches(name, self.names(), 3, 0.4) or self.names()
            raise ProfileError(f"no profile is called {name!r}; there is {', '.join(near)}")
        profile = self._loaded[name] = load_profile(path)
        return profile
