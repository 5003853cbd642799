"""Runs Dagster's command in this process and says where its CPU seconds went, stack by stack.

Belongs here: taking samples. Does not: what is made of them (`profiles`).

Now and then every thread is asked for its time on a processor and, if it is one of Python's, for
its stack. The samples' own thread is not counted. Linux only, which tells of each thread.
"""

import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType

EVERY = 0.01
# What stands for the stack of a thread that is none of Python's.
BESIDE = "beside Python"
_LONG = 10.0
_TASKS = Path("/proc/self/task")


class Sampler(threading.Thread):
    """Samples this process; `nanoseconds` has those on a processor by stack, outermost first."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.nanoseconds: Counter[tuple[str, ...]] = Counter()
        self._known: Counter[int] = Counter()
        self._is_over = threading.Event()

    def run(self) -> None:
        """Take samples, until `stop` is called."""
        while not self._is_over.wait(EVERY):
            self._sample()

    def stop(self) -> None:
        """Take a last sample and end."""
        self._is_over.set()
        self.join()
        self._sample()

    def _sample(self) -> None:
        stacks = _stacks()
        for task in _TASKS.iterdir():
            number = int(task.name)
            if number == self.native_id:
                continue
            try:
                spent = int((task / "schedstat").read_text().split()[0])
            except OSError:
                # It ended in between.
                continue
            more = spent - self._known[number]
            self._known[number] = spent
            if more:
                self.nanoseconds[stacks.get(number, (BESIDE,))] += more


def _stacks() -> dict[int | None, tuple[str, ...]]:
    """The stacks of Python's threads by their number in the system.

    No other thread may go on meanwhile: a frame that ends while it is looked at is no memory of
    ours.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(_LONG)
    try:
        # What waits for its turn asks for it within the interval of before: let it have it.
        time.sleep(0)
        threads = {each.ident: each.native_id for each in threading.enumerate()}
        frames = sys._current_frames()
        return {threads.get(ident): _stack(frame) for ident, frame in frames.items()}
    finally:
        sys.setswitchinterval(before)


def _stack(frame: FrameType | None) -> tuple[str, ...]:
    names: list[str] = []
    while frame is not None:
        names.append(f"{frame.f_globals.get('__name__', '?')}:{frame.f_code.co_qualname}")
        frame = frame.f_back
    return tuple(reversed(names))


def main(written: Path, arguments: list[str]) -> None:
    """Run Dagster's command with these arguments; write a line per stack: seconds, names."""
    sampler = Sampler()
    sampler.start()
    sys.argv = ["dagster", *arguments]
    try:
        from dagster._cli import main as dagster

        dagster()  # type: ignore[no-untyped-call]
    except SystemExit as ended:
        if ended.code:
            raise
    finally:
        sampler.stop()
        lines = [f"{spent / 1e9:.6f}\t{';'.join(to)}" for to, spent in sampler.nanoseconds.items()]
        written.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
