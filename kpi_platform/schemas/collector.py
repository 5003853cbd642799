"""Python's garbage collector, kept from searching what is only being loaded.

Belongs here: this. Does not: freeing anything.

Modules and parsed files are hundreds of thousands of objects that all stay; the collector goes
through them again and again while they come, a tenth to a third of the time that they take. Nor
does a run make much garbage that only the collector finds: it looks less often than for each 700
objects more, as Python has it, which was a twelfth of an hour's processor time.
"""

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager

# Objects more than at the last search, at which the youngest are searched: some ten MiB.
_YOUNGEST = 50_000


@contextmanager
def paused_collector() -> Iterator[None]:
    """Load inside without the collector; afterwards it leaves alone all that is there, and looks
    less often.

    Inside another pause, or where somebody switched it off, nothing happens.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(_YOUNGEST, *gc.get_threshold()[1:])
        gc.enable()


# DuckDB says on stderr what it finds alive at the end, and what is left alone is.
atexit.register(gc.unfreeze)
