"""Files that say values: written out for a script's commands, and read when those have written.

Not done here: what the values mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from tapstack.drill.surroundings.watching_files import FileWatcher


class Values(dict[str, str]):
    """What the files below one folder are to say, by their paths, and what of it is new."""

    def __init__(self, values: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(values)
        self.news: set[str] = set()
        """Paths whose values were changed since the files were last written."""

    def change(self, name: str, value: str) -> None:
        """Have a file say something else."""
        self[name] = value
        self.news.add(name)


class FileTree:
    """The files below one folder."""

    def __init__(self, folder: Path, watcher: FileWatcher) -> None:
        self._folder = folder
        self._watcher = watcher
        self._said: dict[str, str] = {}
        self._shown: Values | None = None
        self._watched: set[Path] = set()
        folder.mkdir()

    def show(self, values: Values) -> None:
        """Have the files say these values, and no others be there. Raises: OSError."""
        if values is not self._shown:
            values.news.update(name for name, _ in values.items() - self._said.items())
            for name in self._said.keys() - values.keys():
                (self._folder / name).unlink(missing_ok=True)
                del self._said[name]
            self._shown = values
        if values.news:
            self._write(values, sorted(values.news))
            values.news.clear()

    def _write(self, values: Values, names: list[str]) -> None:
        for name in names:
            path, value = self._folder / name, values[name]
            if path.parent not in self._watched:
                path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{value}\n" if value else "")
            self._said[name] = value
        for parent in {(self._folder / name).parent for name in names} - self._watched:
            self._watcher.watch(parent)
            self._watched.add(parent)

    def changed(self, written: list[Path]) -> Iterator[tuple[str, str]]:
        """Give name and text of those of the written files that say something else now."""
        for path in written:
            if path.is_relative_to(self._folder) and path.is_file():
                name, text = str(path.relative_to(self._folder)), path.read_text()
                if name not in self._said:
                    path.unlink()  # as if it could not have been made
                elif text.rstrip("\n") == self._said[name]:
                    continue
                else:
                    self._said[name] = text.rstrip("\n")
                yield name, text
