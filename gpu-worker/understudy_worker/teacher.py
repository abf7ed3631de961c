"""A frozen teacher: what it says of a sequence is computed once, stored, and read from there ever after.

An entry is computed alone (one sequence, no padding), so its bits depend on its key alone; a step reads stored bytes
only, never the tensor just computed. So a cold, a warm and a shared cache give the same steps. While every entry is
found, only the output matrix is in memory.

Shape suffixes: N response positions, D hidden size, V vocabulary, K ids.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from understudy_worker.forward import Head, Tokens, chunks, enough_rows, response_states
from understudy_worker.models import LoadedModel, Models
from understudy_worker.objectives.terms import first_choice
from understudy_worker.shared_cache import SharedCache
from understudy_worker.teacher_cache import Entry, Keys, TeacherCache, config_digest, read_entry, write_entry
from understudy_worker.wire import ModelRef

log = logging.getLogger("understudy")

Tick = Callable[[], None]

# Positions for which logits exist at one time: 512 x 50,000 x 4 bytes = 100 MB.
HEAD_CHUNK = 512
# Entries asked of the shared cache at one time.
PARALLEL_READS = 8


@dataclass(frozen=True)
class Hits:
    """Sequences found in a cache, and computed."""

    hits: int = 0
    misses: int = 0

    def __add__(self, other: Hits) -> Hits:
        return Hits(self.hits + other.hits, self.misses + other.misses)


class FrozenTeacher:
    """A model that only teaches. `fingerprint` is what bits repeat within; `tick` is called after each piece of work
    and may raise to stop.

    Weights are fp32. `dtype` is what the layers are computed in and the states kept in; from the states on everything
    is fp32, so that any two ways to a log-probability agree whatever the dtype.
    """

    def __init__(
        self,
        ref: ModelRef,
        *,
        models: Models,
        cache: TeacherCache,
        shared: SharedCache | None,
        dtype: str,
        fingerprint: str,
        tick: Tick,
    ) -> None:
        self._ref = ref
        self._models = models
        self._cache = cache
        self._shared = shared
        self._dtype = dtype
        self._tick = tick
        self._loaded: LoadedModel | None = None
        part = models.output_head(ref, tick=tick) or self._load()
        self.head = part.head
        self._keys = Keys(
            weights_digest=part.weights_digest,
            config_digest=config_digest(part.config),
            tokenizer_digest=part.tokenizer_digest,
            dtype=dtype,
            fingerprint=fingerprint,
        )
        self.tokenizer_digest = part.tokenizer_digest
        self.context_length = part.context_length

    def entries(self, sequences: Sequence[Tokens]) -> tuple[list[Entry], Hits]:
        """An entry for each sequence, in order."""
        keys = [self._keys.of(tokens) for tokens in sequences]
        found: dict[str, Entry] = {}
        for key in dict.fromkeys(keys):
            if entry := self._cache.get(key):
                found[key] = entry
        wanted = {key: tokens for key, tokens in zip(keys, sequences, strict=True) if key not in found}
        found |= self._from_others(list(wanted))
        hits = Hits(hits=len(set(keys) & found.keys()), misses=len(wanted.keys() - found.keys()))
        for key, tokens in wanted.items():
            if key not in found:
                found[key] = self._compute(key, tokens)
        return [found[key] for key in keys], hits

    def renew(self, fence: int, *, tick: Tick) -> None:
        """A new lease: the fence under which the shared cache may be used, and whom to tell of progress."""
        self._tick = tick
        if self._shared is not None:
            self._shared.fence = fence

    def _from_others(self, keys: list[str]) -> dict[str, Entry]:
        """What other workers of the project have stored; it is kept here too."""
        if self._shared is None or not keys:
            return {}
        with ThreadPoolExecutor(PARALLEL_READS, thread_name_prefix="teacher-cache") as threads:
            answers = list(threads.map(self._shared.get, keys))
        found = {}
        for key, data in zip(keys, answers, strict=True):
            if data is None:
                continue
            entry = read_entry(data, key=key)
            if entry is None:
                log.warning("teacher cache: the shared entry %s is damaged, computed here", key)
                continue
            self._cache.put(key, data)
            found[key] = entry
        return found

    def _compute(self, key: str, tokens: Tokens) -> Entry:
        data = write_entry(self._entry(tokens), key=key)
        self._cache.put(key, data)
        if self._shared is not None:
            self._shared.put(key, data)
        self._tick()
        entry = read_entry(data, key=key)
        assert entry is not None, "what was just written reads back"
        return entry

    @torch.inference_mode()
    def _entry(self, tokens: Tokens) -> Entry:
        loaded = self._load()
        low = self._dtype == "bfloat16"
        with torch.autocast(loaded.model.device.type, dtype=torch.bfloat16, enabled=low):
            states_ND = response_states(loaded.model.base_model, [tokens])
        states_ND = states_ND.to(torch.bfloat16 if low else torch.float32)
        sums, firsts = [], []
        for chunk in chunks(0, len(states_ND), HEAD_CHUNK):
            logits_NV = _logits(loaded.head, states_ND[chunk])
            sums.append(logits_NV.logsumexp(dim=1))
            firsts.append(first_choice(logits_NV).int())
        return Entry(states_ND=states_ND, logsumexp_N=torch.cat(sums), argmax_N=torch.cat(firsts))

    def _load(self) -> LoadedModel:
        if self._loaded is None:
            log.info("teacher %s: its layers are loaded", self._ref.model)
            self._loaded = self._models.get(self._ref, tick=self._tick)
            self.head = self._loaded.head  # the same weights: one copy is enough
        return self._loaded


@dataclass(frozen=True)
class TeacherChunk:
    """`objectives.terms.TeacherRows` from entries: any logit is a dot product, all of them one matrix product.

    The two may round differently, by at most 1e-5 (on SmolLM2 on a CPU they agree to the bit, and log-probabilities are
    within 3e-6 nats of the fp64 log-softmax of transformers' own fp32 logits; measured). In bfloat16 the states are
    rounded and the rest is fp32: within 0.2 nats of fp32 on SmolLM2, as transformers' own bfloat16 is (measured).
    """

    states_ND: Tensor
    logsumexp_N: Tensor
    argmax_N: Tensor
    head: Head

    @classmethod
    def of(cls, entries: Sequence[Entry], head: Head) -> TeacherChunk:
        """The entries' positions end to end, on the head's device."""
        device = _weight(head).device
        return cls(
            states_ND=torch.cat([entry.states_ND for entry in entries]).to(device),
            logsumexp_N=torch.cat([entry.logsumexp_N for entry in entries]).to(device),
            argmax_N=torch.cat([entry.argmax_N for entry in entries]).to(device, torch.long),
            head=head,
        )

    def __getitem__(self, chunk: slice) -> TeacherChunk:
        return TeacherChunk(self.states_ND[chunk], self.logsumexp_N[chunk], self.argmax_N[chunk], self.head)

    @torch.no_grad()
    def logits(self) -> Tensor:
        with self._fp32():
            return _logits(self.head, self.states_ND)

    @torch.no_grad()
    def logits_at(self, ids_NK: Tensor) -> Tensor:
        rows_NKD = nn.functional.embedding(ids_NK, _weight(self.head))
        with self._fp32():
            product_NK = torch.einsum("nkd,nd->nk", rows_NKD, self.states_ND.float())
        bias_V = getattr(self.head.linear, "bias", None)
        if bias_V is not None:
            product_NK = product_NK + bias_V[ids_NK]
        return self.head.of_product(product_NK)

    def _fp32(self) -> torch.autocast:
        """Whatever the student is computed in around this."""
        return torch.autocast(self.states_ND.device.type, enabled=False)


def _logits(head: Head, states_ND: Tensor) -> Tensor:
    """logits_NV in fp32, of the same bits however few the rows are."""
    return head(enough_rows(states_ND.float()))[: len(states_ND)]


def _weight(head: Head) -> Tensor:
    weight: Tensor = head.linear.weight  # type: ignore[assignment]
    return weight
