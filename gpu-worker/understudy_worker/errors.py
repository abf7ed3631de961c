"""What a job can die of. Every error that a job raises on purpose is one of these; anything else is `internal`."""


class WorkerError(Exception):
    """The job fails: `code` is stable and for programs, the message is for people and says what to do."""

    def __init__(self, code: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable


class Refused(Exception):
    """This worker cannot take the lease (never, if not retryable); another may."""

    def __init__(self, reason: str, *, retryable: bool = True) -> None:
        super().__init__(reason)
        self.retryable = retryable


class Abandoned(Exception):
    """The lease is no longer ours (stale fence, cancelled, contact lost): stop at once, say nothing more of it."""
