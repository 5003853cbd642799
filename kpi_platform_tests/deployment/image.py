"""The image that docker/try-image.sh built, and how a command of compose.yaml runs in it.

Belongs here: the root of its files, mounted read-only, and the places that compose.yaml says are
written. Does not: building it, and what its commands should do.
"""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# Mounts are of the command's own namespace and go with it.
_ENTER = """
set -e
root=$1; shift
mount --bind "$root" "$root"
{mounts}
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -o remount,bind,ro "$root"
exec chroot --userspec={user} "$root" "$@"
"""


@dataclass(frozen=True)
class Image:
    """An unpacked image: where its files lie, who runs in it and with which environment."""

    root: Path
    user: str
    environment: Mapping[str, str]

    def command(
        self, command: list[str], in_memory: Sequence[str], mounted: Mapping[str, Path]
    ) -> list[str]:
        """A command of this machine that runs `command` in the image, whose root is read-only.

        `in_memory`: places with an empty file system of their own. `mounted`: places of the image,
        and the folders and files that stand there.
        """
        mounts = [self._in_memory(place) for place in in_memory]
        for place, here in mounted.items():
            there = self.root / place.lstrip("/")
            if here.is_file() and not there.exists():
                # Made before the root is read-only, as Docker makes it.
                there.parent.mkdir(parents=True, exist_ok=True)
                there.touch()
            mounts.append(f'mount --bind {shlex.quote(str(here))} "$root"{shlex.quote(place)}')
        text = _ENTER.format(user=self.user, mounts="\n".join(mounts))
        entered = ["/bin/sh", "-c", text, "enter", str(self.root), *command]
        return ["unshare", "--mount", "--propagation", "private", *entered]

    def _in_memory(self, place: str) -> str:
        owner = (self.root / place.lstrip("/")).stat()
        options = f"uid={owner.st_uid},gid={owner.st_gid},mode={owner.st_mode & 0o7777:o}"
        return f'mount -t tmpfs -o {options} tmpfs "$root"{shlex.quote(place)}'


def built_image() -> Image | None:
    """The image that the environment names; None where none was built."""
    root = os.environ.get("KPI_IMAGE_ROOT")
    if root is None:
        return None
    lines = Path(os.environ["KPI_IMAGE_ENVIRONMENT"]).read_text().splitlines()
    environment = dict(line.split("=", 1) for line in lines if "=" in line)
    return Image(Path(root), os.environ["KPI_IMAGE_USER"], environment)
