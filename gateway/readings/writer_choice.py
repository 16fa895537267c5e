"""Who writes the next commit: the event loop itself, or a thread while the loop goes on.

Where the disk commits fast, handing a commit to a thread costs more than the commit. Where commits are
slow (SD cards), the loop would stand still. Which one it is, is measured as it runs.
"""

from typing import Final

LOOP_COMMIT_MAX_NS: Final = 5_000_000  # how long a commit may hold up the event loop
SLOW_COMMITS: Final = 4  # so many slow ones in a row are the disk, not a checkpoint
THREAD_GROUPS: Final = 500  # then the thread writes so many groups before the loop tries again


class WriterChoice:
    """The loop writes until enough slow commits in a row call the thread."""

    def __init__(self) -> None:
        self._slow_commits = 0
        self._thread_groups = 0

    @property
    def is_thread(self) -> bool:
        """Whether the thread writes the next group."""
        return self._thread_groups > 0

    def committed(self, commit_ns: int) -> None:
        """Note how long a commit took."""
        if self.is_thread:
            return  # measured in the thread, which also waited for its turn to run
        self._slow_commits = self._slow_commits + 1 if commit_ns > LOOP_COMMIT_MAX_NS else 0
        if self._slow_commits >= SLOW_COMMITS:
            self._slow_commits = SLOW_COMMITS - 1  # the next try needs only one to be sure
            self._thread_groups = THREAD_GROUPS

    def landed(self) -> None:
        """Note that the thread has written a group."""
        self._thread_groups -= 1
