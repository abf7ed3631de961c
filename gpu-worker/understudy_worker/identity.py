"""Who this process is to the pool, for its whole life."""

from __future__ import annotations

from dataclasses import dataclass

from understudy_worker.wire import Capabilities, Fingerprint, HeldLease, HeldRun, Hello

# The oldest and the newest that this worker speaks.
PROTOCOLS = (2, 2)


@dataclass(frozen=True)
class Identity:
    """`boot` is 128 random bits in hexadecimal, the same over every reconnect."""

    worker: str
    boot: str
    capabilities: Capabilities
    fingerprint: Fingerprint
    slots: int
    requests: int

    def hello(self, seq: int, *, runs: list[HeldRun], leases: list[HeldLease]) -> Hello:
        """The first frame on every socket."""
        return Hello(
            type="hello",
            seq=seq,
            protocol=PROTOCOLS[1],
            protocol_least=PROTOCOLS[0],
            worker=self.worker,
            boot=self.boot,
            capabilities=self.capabilities,
            fingerprint=self.fingerprint,
            slots=self.slots,
            requests=self.requests,
            runs=runs,
            leases=leases,
        )
