# Generated from src/wire by `npm run generate`; never edited by hand.

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypeAliasType
from understudy_worker.wire_base import WireModel


class Ack(WireModel):
    type: Literal['ack']
    re: Annotated[int, Field(ge=1, le=9007199254740991)]
    status: AckStatus
    head: Annotated[Head | None, Field(description="the run's head, where the status is gap")]
    ttl_ms: TtlMs | None
    jobs: list[JobAck]


AckStatus = TypeAliasType("AckStatus", Literal['ok', 'duplicate', 'stale_fence', 'gap', 'diverged', 'cancelled'])


class AdaptiveKlObjective(WireModel):
    type: Literal['adaptive_kl']
    head_mass: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    temperature: Annotated[float, Field(ge=0.01, le=100.0)] = 1
    on_policy_fraction: Annotated[float, Field(ge=0.0, le=1.0)] = 0
    sampling: Annotated[Sampling, Field(validate_default=True)] = {}
    kd_ratio: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5


Beta = TypeAliasType("Beta", Annotated[float, Field(description='null: 0.1, and 2.0 for simpo', gt=0.0, le=100.0)])


Beta1 = TypeAliasType("Beta1", Annotated[float, Field(ge=0.0, lt=1.0)])


BlobKey = TypeAliasType(
    "BlobKey", Annotated[str, Field(pattern='^[0-9A-Za-z_]{1,80}\\/[0-9A-Za-z_]{1,80}\\/[0-9]{1,10}\\/[0-9a-f]{64}$')]
)


class BlobRef(WireModel):
    key: BlobKey
    bytes: Annotated[int, Field(ge=0, le=33554432)]
    sha256: Sha256


class BlobStored(WireModel):
    object: Literal['blob']
    key: BlobKey
    bytes: Annotated[int, Field(ge=0, le=9007199254740991)]
    sha256: Sha256


class Cancel(WireModel):
    type: Literal['cancel']
    job: Id
    fence: Annotated[int, Field(ge=1, le=9007199254740991)]


class Capabilities(WireModel):
    kinds: Annotated[list[JobKind], Field(min_length=1)]
    models: list[str]
    device: str


CheckpointAtItem = TypeAliasType("CheckpointAtItem", Annotated[int, Field(ge=0, le=9007199254740991)])


class CheckpointDone(WireModel):
    type: Literal['checkpoint']
    seq: Annotated[int, Field(ge=1, le=9007199254740991)]
    job: Id
    run: Id
    fence: Annotated[int, Field(ge=1, le=9007199254740991)]
    lineage: Annotated[int, Field(ge=0, le=9007199254740991)]
    state: StoredState


CheckpointEvery = TypeAliasType("CheckpointEvery", Annotated[int, Field(ge=-9007199254740991, le=9007199254740991)])


class Choice(WireModel):
    item: Annotated[int, Field(ge=0, le=9007199254740991)]
    sample: Annotated[int, Field(ge=0, le=9007199254740991)]
    text: str
    finish_reason: FinishReason
    num_tokens: Annotated[int, Field(ge=0, le=9007199254740991)]
    logprobs: TokenLogprobs | None


class CompareOutput(WireModel):
    kind: Literal['compare']
    items: list[ComparedPair]
    tokens: Annotated[int, Field(ge=0, le=9007199254740991)]


class ComparePayload(WireModel):
    kind: Literal['compare']
    teacher: ModelRef
    student: ModelRef
    template: Template
    prompts: Annotated[list[Prompt], Field(max_length=32, min_length=1)]
    generation: Generation


class ComparedAnswer(WireModel):
    response: str
    finish_reason: FinishReason
    scored: ScoredResponse


class ComparedPair(WireModel):
    teacher: ComparedAnswer
    student: ComparedAnswer


class CompleteItem(WireModel):
    prompt: Prompt2 | TokenIds | Messages
    seeds: Annotated[list[Seed], Field(max_length=128, min_length=1)]


class CompleteOutput(WireModel):
    kind: Literal['complete']
    prompts: list[ReadPrompt]
    choices: list[Choice]
    tokens: Annotated[int, Field(ge=0, le=9007199254740991)]


class CompletePayload(WireModel):
    kind: Literal['complete']
    model: ModelRef
    items: Annotated[list[CompleteItem], Field(max_length=128, min_length=1)]
    settings: CompletionSettings
    echo: bool
    logprobs: Logprobs | None
    stream: bool


class CompletionSettings(WireModel):
    max_new_tokens: Annotated[int, Field(ge=0, le=16384)]
    temperature: Annotated[float, Field(ge=0.0, le=10.0)] = 0
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = 1
    top_k: Annotated[int, Field(ge=0, le=1000000)] = 0
    stop: Annotated[list[StopItem], Field(max_length=8)] = []


class Delta(WireModel):
    type: Literal['delta']
    seq: Annotated[int, Field(ge=1, le=9007199254740991)]
    job: Id
    fence: Annotated[int, Field(ge=1, le=9007199254740991)]
    place: Annotated[int, Field(ge=0, le=9007199254740991)]
    pieces: Annotated[list[Piece], Field(max_length=128, min_length=1)]


class Difference(WireModel):
    responses: Annotated[int, Field(ge=1, le=9007199254740991)]
    tokens: Annotated[int, Field(ge=1, le=9007199254740991)]
    mean: Annotated[float, Field(ge=0.0)]
    max: Annotated[float, Field(ge=0.0)]
    allowed: Annotated[float, Field(description='the mean above which an export is refused', gt=0.0)]


class DpkdObjective(WireModel):
    type: Literal['dpkd']
    granularity: Literal['token', 'sequence'] = 'token'
    variant: Literal['sigmoid', 'ipo', 'dpop', 'simpo'] = 'sigmoid'
    beta: Annotated[Beta | None, Field(description='null: 0.1, and 2.0 for simpo')] = None
    label_smoothing: Annotated[float, Field(ge=0.0, lt=0.5)] = 0
    length_normalize: bool = False
    reference_free: bool = False
    lambda_: Annotated[float, Field(alias='lambda', description="dpop's weight", ge=0.0, le=1000000.0)] = 50
    gamma: Annotated[float, Field(description="simpo's target margin", ge=0.0, le=1000.0)] = 1
    pairs: Literal['sampled', 'data'] = 'sampled'
    sampling: Annotated[Sampling, Field(validate_default=True)] = {}
    kd_ratio: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5


class Drain(WireModel):
    type: Literal['drain']
    move_to: str | None


class EdgeArtifact(WireModel):
    model: EdgeModel
    files: Annotated[list[FileRef], Field(max_length=64, min_length=1)]


class EdgeModel(WireModel):
    precision: Precision
    architecture: str
    parameters: Annotated[int, Field(ge=1, le=9007199254740991)]
    layers: Annotated[int, Field(ge=1, le=9007199254740991)]
    hidden_size: Annotated[int, Field(ge=1, le=9007199254740991)]
    key_value_heads: Annotated[int, Field(ge=1, le=9007199254740991)]
    head_dim: Annotated[int, Field(ge=1, le=9007199254740991)]
    vocab_size: Annotated[int, Field(ge=1, le=9007199254740991)]
    context_length: Annotated[int, Field(ge=1, le=9007199254740991)]
    likeliest: Annotated[
        int,
        Field(
            description='tokens that the graph gives of each position, the likeliest first', ge=1, le=9007199254740991
        ),
    ]
    end_id: Annotated[EndId | None, Field(description='closes a response under chat and alpaca')]
    stop_ids: Annotated[list[StopId], Field(max_length=64)]
    weights_digest: Sha256
    tokenizer_digest: Sha256
    template_digest: Sha256


EndId = TypeAliasType(
    "EndId", Annotated[int, Field(description='closes a response under chat and alpaca', ge=0, le=9007199254740991)]
)


class ExportOutput(WireModel):
    kind: Literal['export']
    model: EdgeModel
    difference: Difference
    files: Annotated[list[FileRef], Field(max_length=64, min_length=1)]


class ExportPayload(WireModel):
    kind: Literal['export']
    model: ModelRef
    precision: Precision


class Fail(WireModel):
    type: Literal['fail']
    seq: Annotated[int, Field(ge=1, le=9007199254740991)]
    job: Id
    fence: Annotated[int, Field(ge=1, le=9007199254740991)]
    lineage: Lineage | None
    code: Annotated[str, Field(pattern='^[a-z_]{1,64}$')]
    detail: Annotated[str, Field(max_length=4000)]
    retryable: bool


class FileRef(WireModel):
    name: Annotated[str, Field(pattern='^[0-9A-Za-z][0-9A-Za-z._-]{0,127}$')]
    bytes: Annotated[int, Field(ge=0, le=9007199254740991)]
    sha256: Sha256
    parts: Annotated[list[BlobRef], Field(max_length=4096, min_length=1)]


class FilesSource(WireModel):
    type: Literal['files']
    files: Annotated[list[FileRef], Field(max_length=64, min_length=1)]


class Fingerprint(WireModel):
    torch: str
    device: str
    cpu_capability: str
    math: str
    threads: Annotated[int, Field(ge=1, le=9007199254740991)]
    world_size: Annotated[int, Field(ge=1, le=9007199254740991)]
    attention: str
    compile: str
    engine: Annotated[int, Field(ge=0, le=9007199254740991)] = 0
    digest: Sha256


FinishReason = TypeAliasType("FinishReason", Literal['stop', 'length'])


class ForwardKlObjective(WireModel):
    type: Literal['forward_kl']
    temperature: Annotated[float, Field(ge=0.01, le=100.0)] = 1
    on_policy_fraction: Annotated[float, Field(ge=0.0, le=1.0)] = 0
    sampling: Annotated[Sampling, Field(validate_default=True)] = {}
    kd_ratio: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5


class GenerateBatch(WireModel):
    batch: Annotated[int, Field(ge=0, le=9007199254740991)]
    items: Annotated[list[GenerateItem], Field(max_length=32, min_length=1)]


class GenerateItem(WireModel):
    item: str
    seed: Seed
    prompt: Prompt


class GenerateOutput(WireModel):
    kind: Literal['generate']
    batches: Annotated[int, Field(ge=0, le=9007199254740991)]


class GeneratePayload(WireModel):
    kind: Literal['generate']
    evaluation: Id
    model: ModelRef
    template: Template
    generation: Generation
    artifact: EdgeArtifact | None
    batches: Annotated[list[GenerateBatch], Field(min_length=1)]


class GeneratedItem(WireModel):
    item: str
    seed: Seed
    response: str
    finish_reason: FinishReason
    num_tokens: Annotated[int, Field(ge=0, le=9007199254740991)]


class Generation(WireModel):
    max_new_tokens: Annotated[int, Field(ge=1, le=1024)] = 64
    temperature: Annotated[float, Field(ge=0.0, le=10.0)] = 0
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = 1
    top_k: Annotated[int, Field(ge=0, le=1000000)] = 0
    stop: Annotated[list[StopItem], Field(max_length=8)] = []
    seeds: Annotated[list[Seed], Field(max_length=32, min_length=1)] = [10]


GgufFile = TypeAliasType("GgufFile", Annotated[str, Field(pattern='^[0-9A-Za-z][0-9A-Za-z._-]{0,127}\\.gguf$')])


class GraderReward(WireModel):
    grader: Literal['exact_match']


Head = TypeAliasType(
    "Head", Annotated[int, Field(description="the run's head, where the status is gap", ge=0, le=9007199254740991)]
)


class HeldLease(WireModel):
    job: Id
    fence: Annotated[int, Field(ge=1, le=9007199254740991)]


class HeldRun(WireModel):
    run: Id
    lineage: Annotated[int, Field(ge=0, le=9007199254740991)]
    head: Annotated[int, Field(ge=0, le=9007199254740991)]
    hash: Sha256 | None


class Hello(WireModel):
    type: Literal['hello']
    seq: Annotated[int, Field(ge=1, le=9007199254740991)]
    protocol: Annotated[int, Field(description='the newest that the worker speaks', ge=1, le=9007199254740991)]
    protocol_least: Annotated[ProtocolLeast | None, Field(description='the oldest; null: no other')] = None
    worker: Annotated[str, Field(pattern='^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$')]
    boot: Annotated[str, Field(pattern='^[0-9a-f]{32}$')]
    capabilities: Capabilities
    fingerprint: Fingerprint
    slots: Annotated[int, Field(ge=1, le=64)]
    requests: Annotated[
        int,
        Field(description='leases of requests (score, complete, tokenize) at one time, beside the slots', ge=1, le=256),
    ]
    runs: Annotated[list[HeldRun], Field(max_length=64)]
    leases: Annotated[list[HeldLease], Field(max_length=320)]


class HubSource(WireModel):
    type: Literal['hub']
    repo: Annotated[str, Field(pattern='^[0-9A-Za-z][0-9A-Za-z._-]{0,95}\\/[0-9A-Za-z][0-9A-Za-z._-]{0,95}$')]
    revision: Annotated[str, Field(pattern='^[0-9a-f]{40}$')]
    gguf_file: GgufFile | None = None


Id = TypeAliasType("Id", Annotated[str, Field(pattern='^[a-z]+_[0-9A-Za-z]{1,64}(@[0-9]{1,9}(\\.[0-9]{1,6})?)?$')])


Id1 = TypeAliasType("Id1", Annotated[int, Field(ge=0, le=9007199254740991)])


class ImplicitReward(WireModel):
    implicit: ModelName


class InitConfig(WireModel):
    model_type: Literal['llama'] = 'llama'
    hidden_size: Annotated[int, Field(ge=8, le=16384)]
    intermediate_size: Annotated[int, Field(ge=8, le=65536)]
    num_hidden_layers: Annotated[int, Field(ge=1, le=1024)]
    num_attention_heads: Annotated[int, Field(ge=1, le=256)]
    num_key_value_heads: Annotated[int, Field(ge=1, le=256)]
    max_position_embeddings: Annotated[int, Field(ge=2, le=131072)] = 2048
    tie_word_embeddings: bool = True


class InitSource(WireModel):
    type: Literal['init']
    config: InitConfig
    tokenizer: StoredModel
    seed: Seed


class Items(WireModel):
    type: Literal['items']
    seq: Annotated[int, Field(ge=1, le=9007199254740991)]
    job: Id
    fence: Annotated[int, Field(ge=1, le=9007199254740991)]
    batch: Annotated[int, Field(ge=0, le=9007199254740991)]
    items: Annotated[list[GeneratedItem], Field(max_length=32, min_length=1)]


class JobAck(WireModel):
    job: Id
    status: AckStatus
    ttl_ms: Annotated[int, Field(ge=0, le=9007199254740991)]


JobKind = TypeAliasType("JobKind", Literal['prepare', 'score', 'complete', 'tokenize', 'compare', 'generate', 'prefer', 'train', 'export', 'generate_edge'])


class JobTick(WireModel):
    job: Id
    fence: Annotated[int, Field(ge=1, le=9007199254740991)]
    tick: Annotated[int, Field(ge=0, le=9007199254740991)]
    phase: Literal['loading', 'replaying', 'working', 'uploading']
    done: Annotated[int, Field(ge=0, le=9007199254740991)]
    total: Annotated[int, Field(ge=0, le=9007199254740991)]


class JsdObjective(WireModel):
    type: Literal['jsd']
    interpolation: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    temperature: Annotated[float, Field(ge=0.01, le=100.0)] = 1
    on_policy_fraction: Annotated[float, Field(ge=0.0, le=1.0)] = 0
    sampling: Annotated[Sampling, Field(validate_default=True)] = {}
    kd_ratio: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5


LayerIndice = TypeAliasType("LayerIndice", Annotated[int, Field(ge=0, le=1023)])


LayerIndices = TypeAliasType("LayerIndices", Annotated[list[LayerIndice], Field(max_length=1024, min_length=1)])


LayerIndices1Item = TypeAliasType("LayerIndices1Item", Annotated[int, Field(ge=0, le=1023)])


LayerIndices1 = TypeAliasType("LayerIndices1", Annotated[list[LayerIndices1Item], Field(max_length=1024, min_length=1)])


class Lease(WireModel):
    type: Literal['lease']
    job: Id
    project: Id
    attempt: Annotated[int, Field(ge=1, le=9007199254740991)]
    fence: Annotated[int, Field(ge=1, le=9007199254740991)]
    lineage: Lineage | None
    ttl_ms: Annotated[int, Field(ge=1, le=9007199254740991)]
    payload: Payload | None
    artifact: BlobRef | None


class LikelyToken(WireModel):
    id: Annotated[int, Field(ge=0, le=9007199254740991)]
    text: str
    logprob: float


Lineage = TypeAliasType("Lineage", Annotated[int, Field(ge=0, le=9007199254740991)])


class LocalSource(WireModel):
    type: Literal['local']
    name: Name


Logprobs = TypeAliasType("Logprobs", Annotated[int, Field(ge=0, le=20)])


class Lora(WireModel):
    rank: Annotated[int, Field(ge=1, le=1024)] = 16
    alpha: Annotated[float, Field(gt=0.0, le=4096.0)] = 32
    targets: Annotated[list[Target], Field(max_length=32, min_length=1)] = ['all-linear']


class Message(WireModel):
    role: Literal['system', 'user', 'assistant']
    content: Annotated[str, Field(max_length=200000)]


Messages = TypeAliasType("Messages", Annotated[list[Message], Field(max_length=256, min_length=1)])


MicroBatchTokens = TypeAliasType("MicroBatchTokens", Annotated[int, Field(ge=16, le=10000000)])


class MiniLlmObjective(WireModel):
    type: Literal['minillm']
    length_normalize: bool = True
    sampling: Annotated[Sampling, Field(validate_default=True)] = {}
    kd_ratio: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5


class Mismatch(WireModel):
    type: Literal['mismatch']
    seq: Annotated[int, Field(ge=1, le=9007199254740991)]
    job: Id
    run: Id
    fence: Annotated[int, Field(ge=1, le=9007199254740991)]
    lineage: Annotated[int, Field(ge=0, le=9007199254740991)]
    n: Annotated[int, Field(ge=1, le=9007199254740991)]
    got: Sha256


ModelBase = TypeAliasType(
    "ModelBase", Annotated[HubSource | LocalSource | FilesSource | InitSource, Field(discriminator='type')]
)


class ModelFacts(WireModel):
    architecture: str
    layers: Annotated[int, Field(ge=1, le=9007199254740991)]
    parameters: Annotated[int, Field(ge=1, le=9007199254740991)]
    vocab_size: Annotated[int, Field(ge=1, le=9007199254740991)]
    context_length: Annotated[int, Field(ge=1, le=9007199254740991)]
    layer_indices: LayerIndices | None
    weights_digest: Sha256
    tokenizer_digest: Sha256
    template_digest: Sha256


ModelName = TypeAliasType(
    "ModelName",
    Annotated[
        str,
        Field(
            description="a model's id, its name in the project, a checkpoint such as run_x@120, or, of evaluations, an export such as run_x@120:int8",
            pattern='^[0-9A-Za-z][0-9A-Za-z._@:-]{0,127}$',
        ),
    ],
)


class ModelRef(WireModel):
    model: Id
    base: ModelBase
    layer_indices: LayerIndices1 | None
    weights_digest: Sha256 | None


Name = TypeAliasType(
    "Name",
    Annotated[
        str,
        Field(
            description="1 to 64 letters, digits, '.', '_' or '-'; begins with a letter or a digit",
            pattern='^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$',
        ),
    ],
)


class Optimizer(WireModel):
    type: Literal['adamw', 'adamw_8bit'] = 'adamw'
    learning_rate: Annotated[float, Field(gt=0.0, le=1.0)] = 0.0005
    min_learning_rate: Annotated[float, Field(ge=0.0, le=1.0)] = 0
    weight_decay: Annotated[float, Field(ge=0.0, le=1.0)] = 0.01
    betas: Annotated[list[Beta1], Field(max_length=2, min_length=2)] = [0.9, 0.999]
    schedule: Literal['cosine', 'linear', 'constant'] = 'cosine'
    warmup_steps: Annotated[int, Field(ge=0, le=1000000)] = 0
    total_steps: Annotated[int, Field(ge=1, le=1000000)] = 300
    grad_clip: Annotated[float, Field(gt=0.0, le=1000000.0)] = 1


class OutOfMemory(WireModel):
    type: Literal['oom']
    seq: Annotated[int, Field(ge=1, le=9007199254740991)]
    job: Id
    run: Id
    fence: Annotated[int, Field(ge=1, le=9007199254740991)]
    lineage: Annotated[int, Field(ge=0, le=9007199254740991)]
    n: Annotated[int, Field(ge=1, le=9007199254740991)]
    rows: Annotated[int, Field(ge=1, le=9007199254740991)]
    tokens: Annotated[int, Field(ge=1, le=9007199254740991)]


class Pair(WireModel):
    chosen: Annotated[str, Field(max_length=200000)]
    rejected: Annotated[str, Field(max_length=200000)]


class PairSide(WireModel):
    response: str | None
    finish_reason: FinishReason | None
    num_tokens: Annotated[int, Field(ge=0, le=9007199254740991)]
    teacher_logprob: float
    student_logprob: float


class Pairs(WireModel):
    type: Literal['pairs']
    seq: Annotated[int, Field(ge=1, le=9007199254740991)]
    job: Id
    fence: Annotated[int, Field(ge=1, le=9007199254740991)]
    batch: Annotated[int, Field(ge=0, le=9007199254740991)]
    items: Annotated[list[ScoredPair], Field(max_length=32, min_length=1)]


class PhaseSeconds(WireModel):
    data: Annotated[float, Field(ge=0.0)]
    teacher: Annotated[float, Field(ge=0.0)]
    forward: Annotated[float, Field(ge=0.0)]
    backward: Annotated[float, Field(ge=0.0)]
    optimizer: Annotated[float, Field(ge=0.0)]
    upload: Annotated[float, Field(ge=0.0)]


class Piece(WireModel):
    item: Annotated[int, Field(ge=0, le=9007199254740991)]
    sample: Annotated[int, Field(ge=0, le=9007199254740991)]
    text: str
    logprobs: TokenLogprobs | None


class PlainText(WireModel):
    data: SplitRef
    coef: Annotated[float, Field(gt=0.0)]


class PlanEntry(WireModel):
    from_: Annotated[int, Field(alias='from', ge=1, le=9007199254740991)]
    micro_batch_tokens: MicroBatchTokens | None
    head_chunk: Annotated[int, Field(ge=1, le=65536)]
    share_prefixes: bool | None = None


Precision = TypeAliasType("Precision", Literal['fp32', 'int8', 'int4'])


class PreferBatch(WireModel):
    batch: Annotated[int, Field(ge=0, le=9007199254740991)]
    items: Annotated[list[PreferItem], Field(max_length=32, min_length=1)]


class PreferItem(WireModel):
    item: str
    seed: Seed
    prompt: Prompt
    pair: Pair | None


class PreferOutput(WireModel):
    kind: Literal['prefer']
    batches: Annotated[int, Field(ge=0, le=9007199254740991)]


class PreferPayload(WireModel):
    kind: Literal['prefer']
    evaluation: Id
    teacher: ModelRef
    student: ModelRef
    template: Template
    generation: Generation | None
    batches: Annotated[list[PreferBatch], Field(min_length=1)]


class PrepareOutput(WireModel):
    kind: Literal['prepare']
    facts: ModelFacts


class PreparePayload(WireModel):
    kind: Literal['prepare']
    model: ModelRef


class Progress(WireModel):
    type: Literal['progress']
    seq: Annotated[int, Field(ge=1, le=9007199254740991)]
    jobs: Annotated[list[JobTick], Field(max_length=320)]


Prompt1 = TypeAliasType("Prompt1", Annotated[str, Field(max_length=200000, min_length=1)])


Prompt = TypeAliasType("Prompt", Prompt1 | Messages)


Prompt2 = TypeAliasType("Prompt2", Annotated[str, Field(max_length=1000000)])


ProtocolLeast = TypeAliasType(
    "ProtocolLeast", Annotated[int, Field(description='the oldest; null: no other', ge=1, le=9007199254740991)]
)


class ReadPrompt(WireModel):
    num_tokens: Annotated[int, Field(ge=1, le=9007199254740991)]
    text: str | None
    logprobs: TokenLogprobs | None


class ReconcileItem(WireModel):
    job: Id
    fence: Annotated[int, Field(ge=1, le=9007199254740991)]
    action: Literal['keep', 'drop']


Reference = TypeAliasType("Reference", Annotated[str, Field(max_length=200000)])


class Refuse(WireModel):
    type: Literal['refuse']
    seq: Annotated[int, Field(ge=1, le=9007199254740991)]
    job: Id
    fence: Annotated[int, Field(ge=1, le=9007199254740991)]
    reason: Annotated[str, Field(max_length=1000)]
    retryable: bool


Rejected = TypeAliasType("Rejected", Annotated[str, Field(max_length=200000)])


Response = TypeAliasType("Response", Annotated[str, Field(max_length=200000)])


class Result(WireModel):
    type: Literal['result']
    seq: Annotated[int, Field(ge=1, le=9007199254740991)]
    job: Id
    fence: Annotated[int, Field(ge=1, le=9007199254740991)]
    lineage: Lineage | None
    output: Output | None
    artifact: BlobRef | None


class ResumeStateDone(WireModel):
    type: Literal['resume_state']
    seq: Annotated[int, Field(ge=1, le=9007199254740991)]
    job: Id
    run: Id
    fence: Annotated[int, Field(ge=1, le=9007199254740991)]
    lineage: Annotated[int, Field(ge=0, le=9007199254740991)]
    state: StoredState


class ReverseKlObjective(WireModel):
    type: Literal['reverse_kl']
    temperature: Annotated[float, Field(ge=0.01, le=100.0)] = 1
    on_policy_fraction: Annotated[float, Field(ge=0.0, le=1.0)] = 0
    sampling: Annotated[Sampling, Field(validate_default=True)] = {}
    kd_ratio: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5


Reward = TypeAliasType("Reward", GraderReward | ImplicitReward)


class RewardKlObjective(WireModel):
    type: Literal['reward_kl']
    reward: Reward
    beta: Annotated[float, Field(gt=0.0, le=100.0)] = 0.1
    sampling: Annotated[Sampling, Field(validate_default=True)] = {}
    kd_ratio: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5


class Row(WireModel):
    id: RowId
    split: Name
    prompt: Prompt
    response: Annotated[str, Field(max_length=200000)]
    rejected: Rejected | None
    references: Annotated[list[Reference], Field(max_length=64, min_length=1)]


RowId = TypeAliasType("RowId", Annotated[str, Field(pattern='^[0-9A-Za-z][0-9A-Za-z._:-]{0,127}$')])


class Rows(WireModel):
    type: Literal['rows']
    seq: Annotated[int, Field(ge=1, le=9007199254740991)]
    job: Id
    run: Id
    fence: Annotated[int, Field(ge=1, le=9007199254740991)]
    lineage: Annotated[int, Field(ge=0, le=9007199254740991)]
    rows: RowsReport


class RowsReport(WireModel):
    kept: Annotated[int, Field(ge=0, le=9007199254740991)]
    skipped: Annotated[int, Field(ge=0, le=9007199254740991)]
    skipped_examples: Annotated[list[SkippedExample], Field(max_length=20)]
    digest: Sha256


class RunSpec(WireModel):
    teacher: ModelRef | None
    student: ModelRef
    data: SplitRef
    responses: Literal['data', 'teacher']
    teacher_sampling: TeacherSampling
    plain_text: PlainText | None
    reward_model: Annotated[ModelRef | None, Field(description='the checkpoint of an implicit reward')]
    template: Template
    max_prompt_length: Annotated[int, Field(ge=-9007199254740991, le=9007199254740991)]
    max_length: Annotated[int, Field(ge=-9007199254740991, le=9007199254740991)]
    objective: Objective
    optimizer: Optimizer
    batch_size: Annotated[int, Field(ge=-9007199254740991, le=9007199254740991)]
    dtype: Literal['float32', 'bfloat16']
    lora: Lora | None
    gradient_checkpointing: bool
    seed: Seed
    metrics_every: Annotated[int, Field(ge=-9007199254740991, le=9007199254740991)]
    checkpoint_every: CheckpointEvery | None


class SampledRow(WireModel):
    place: Annotated[
        int,
        Field(description='(step - 1) * batch_size + index in the batch; for the teacher 0', ge=0, le=9007199254740991),
    ]
    row: str
    ids: Annotated[list[Id1], Field(min_length=1)]


class SampledRows(WireModel):
    rows: Annotated[list[SampledRow], Field(min_length=1)]


class Samples(WireModel):
    type: Literal['samples']
    seq: Annotated[int, Field(ge=1, le=9007199254740991)]
    job: Id
    run: Id
    fence: Annotated[int, Field(ge=1, le=9007199254740991)]
    lineage: Annotated[int, Field(ge=0, le=9007199254740991)]
    samples: SamplesRef


class SamplesRef(WireModel):
    source: SamplesSource
    n: Annotated[int, Field(ge=1, le=9007199254740991)]
    blob: BlobRef


SamplesSource = TypeAliasType("SamplesSource", Literal['student', 'teacher'])


class Sampling(WireModel):
    temperature: Annotated[float, Field(ge=0.0, le=10.0)] = 1
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = 1
    max_new_tokens: Annotated[int, Field(ge=1, le=1024)] = 128
    refresh_every: Annotated[int, Field(ge=1, le=1000)] = 16


class ScoreItem(WireModel):
    prompt: Prompt
    responses: Annotated[list[Response], Field(max_length=64, min_length=1)]


class ScoreOutput(WireModel):
    kind: Literal['score']
    items: list[list[ScoredResponse]]
    tokens: Annotated[int, Field(ge=0, le=9007199254740991)]
    teacher_cache: TeacherCacheUse


class ScorePayload(WireModel):
    kind: Literal['score']
    teacher: ModelRef
    student: ModelRef
    template: Template
    items: Annotated[list[ScoreItem], Field(max_length=64, min_length=1)]


class ScoredPair(WireModel):
    item: str
    seed: Seed
    chosen: PairSide
    rejected: PairSide


class ScoredResponse(WireModel):
    token_ids: list[TokenId]
    token_texts: list[str]
    teacher_logprobs: list[float]
    student_logprobs: list[float]


Seed = TypeAliasType("Seed", Annotated[int, Field(ge=0, le=4294967295)])


class SeqKdObjective(WireModel):
    type: Literal['seqkd']
    kd_ratio: Annotated[float, Field(ge=0.0, le=1.0)] = 1


class SftObjective(WireModel):
    type: Literal['sft']


Sha256 = TypeAliasType(
    "Sha256", Annotated[str, Field(description='SHA-256, 64 lower-case hexadecimal digits', pattern='^[0-9a-f]{64}$')]
)


class SkewForwardKlObjective(WireModel):
    type: Literal['skew_forward_kl']
    skew: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
    temperature: Annotated[float, Field(ge=0.01, le=100.0)] = 1
    on_policy_fraction: Annotated[float, Field(ge=0.0, le=1.0)] = 0
    sampling: Annotated[Sampling, Field(validate_default=True)] = {}
    kd_ratio: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5


class SkewReverseKlObjective(WireModel):
    type: Literal['skew_reverse_kl']
    skew: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
    temperature: Annotated[float, Field(ge=0.01, le=100.0)] = 1
    on_policy_fraction: Annotated[float, Field(ge=0.0, le=1.0)] = 0
    sampling: Annotated[Sampling, Field(validate_default=True)] = {}
    kd_ratio: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5


class SkippedExample(WireModel):
    row: str
    reason: str


class SplitRef(WireModel):
    dataset: Id
    split: Name
    rows: Annotated[int, Field(ge=1, le=9007199254740991)]
    blob: BlobRef


class StepDone(WireModel):
    type: Literal['step']
    seq: Annotated[int, Field(ge=1, le=9007199254740991)]
    job: Id
    run: Id
    fence: Annotated[int, Field(ge=1, le=9007199254740991)]
    lineage: Annotated[int, Field(ge=0, le=9007199254740991)]
    n: Annotated[int, Field(ge=1, le=9007199254740991)]
    prev: Sha256
    hash: Sha256
    metrics: StepMetrics


FromWorker = TypeAliasType(
    "FromWorker",
    Annotated[
        Hello | Progress | Rows | StepDone | OutOfMemory | Samples | Mismatch | CheckpointDone | ResumeStateDone | Items | Pairs | Delta | Result | Fail | Refuse,
        Field(discriminator='type'),
    ],
)


class StepMetrics(WireModel):
    loss: float
    loss_lm: Annotated[float | None, Field(alias='loss/lm')]
    loss_distill: Annotated[float | None, Field(alias='loss/distill')]
    loss_plain_text: Annotated[float | None, Field(alias='loss/plain_text')]
    margin_token_mean: Annotated[float | None, Field(alias='margin/token_mean')]
    argmax_agreement: float | None
    rewards_chosen: Annotated[float | None, Field(alias='rewards/chosen')]
    rewards_rejected: Annotated[float | None, Field(alias='rewards/rejected')]
    rewards_margins: Annotated[float | None, Field(alias='rewards/margins')]
    rewards_accuracies: Annotated[float | None, Field(alias='rewards/accuracies')]
    reward_mean: Annotated[float | None, Field(alias='reward/mean')]
    kl_forward: Annotated[float | None, Field(alias='kl/forward')]
    kl_reverse: Annotated[float | None, Field(alias='kl/reverse')]
    entropy_teacher: Annotated[float | None, Field(alias='entropy/teacher')]
    entropy_student: Annotated[float | None, Field(alias='entropy/student')]
    grad_norm: float
    learning_rate: float
    tokens: Annotated[int, Field(ge=0, le=9007199254740991)]
    tokens_per_second: Annotated[float, Field(ge=0.0)]
    seconds: Annotated[float, Field(ge=0.0)]
    phases: PhaseSeconds
    teacher_cache: TeacherCache
    memory_bytes: Annotated[
        int, Field(description='high-water mark of the process, or of the GPU', ge=0, le=9007199254740991)
    ]


StopId = TypeAliasType("StopId", Annotated[int, Field(ge=0, le=9007199254740991)])


StopItem = TypeAliasType("StopItem", Annotated[str, Field(max_length=100, min_length=1)])


StoredModel = TypeAliasType(
    "StoredModel", Annotated[HubSource | LocalSource | FilesSource, Field(discriminator='type')]
)


class StoredState(WireModel):
    step: Annotated[int, Field(ge=0, le=9007199254740991)]
    sha256: Sha256
    parameters: Annotated[int, Field(ge=1, le=9007199254740991)]
    files: Annotated[list[FileRef], Field(max_length=64, min_length=1)]


Target = TypeAliasType("Target", Annotated[str, Field(pattern='^[0-9A-Za-z_.-]{1,64}$')])


class TeacherCache(WireModel):
    hits: Annotated[int, Field(ge=0, le=9007199254740991)]
    misses: Annotated[int, Field(ge=0, le=9007199254740991)]


class TeacherCacheUse(WireModel):
    hits: Annotated[int, Field(ge=0, le=9007199254740991)]
    misses: Annotated[int, Field(ge=0, le=9007199254740991)]


class TeacherSampling(WireModel):
    temperature: Annotated[float, Field(ge=0.0, le=10.0)] = 0
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = 1
    max_new_tokens: Annotated[int, Field(ge=1, le=1024)] = 128


Template = TypeAliasType(
    "Template",
    Annotated[
        Literal['chat', 'alpaca', 'raw'],
        Field(description="how a prompt becomes text: the model's chat template, Alpaca's, or exactly as given"),
    ],
)


Text = TypeAliasType("Text", Annotated[str, Field(max_length=1000000)])


TokenId = TypeAliasType("TokenId", Annotated[int, Field(ge=0, le=9007199254740991)])


TokenIds = TypeAliasType("TokenIds", Annotated[list[TokenId], Field(max_length=100000)])


class TokenLogprobs(WireModel):
    token_ids: TokenIds
    token_texts: list[str]
    logprobs: list[float | None]
    likeliest: list[list[LikelyToken] | None]


class TokenizeOutput(WireModel):
    kind: Literal['tokenize']
    tokens: list[TokenIds]
    texts: list[str]
    bos_token: str | None
    eos_token: str | None
    pad_token: str | None
    chat_template: str | None


class TokenizePayload(WireModel):
    kind: Literal['tokenize']
    model: ModelRef
    texts: Annotated[list[Text], Field(max_length=1024)]
    tokens: Annotated[list[TokenIds], Field(max_length=1024)]
    add_special_tokens: bool


class TrainOutput(WireModel):
    kind: Literal['train']
    head: Annotated[int, Field(ge=0, le=9007199254740991)]
    state_sha256: Sha256 | None


Output = TypeAliasType(
    "Output",
    Annotated[
        PrepareOutput | ScoreOutput | CompleteOutput | TokenizeOutput | CompareOutput | GenerateOutput | PreferOutput | TrainOutput | ExportOutput,
        Field(discriminator='kind'),
    ],
)


class TrainPayload(WireModel):
    kind: Literal['train']
    run: Id
    spec: RunSpec
    from_: Annotated[int, Field(alias='from', ge=1, le=9007199254740991)]
    to: Annotated[int, Field(ge=0, le=9007199254740991)]
    head_hash: Sha256 | None
    plan: Annotated[list[PlanEntry], Field(min_length=1)]
    rows: RowsReport | None
    resume: StoredState | None
    hashes: Annotated[list[Sha256], Field(max_length=10000)]
    checkpoint_at: list[CheckpointAtItem]
    samples: Annotated[list[SamplesRef], Field(max_length=100000)]


Payload = TypeAliasType(
    "Payload",
    Annotated[
        PreparePayload | ScorePayload | CompletePayload | TokenizePayload | ComparePayload | GeneratePayload | PreferPayload | TrainPayload | ExportPayload,
        Field(discriminator='kind'),
    ],
)


TtlMs = TypeAliasType("TtlMs", Annotated[int, Field(ge=0, le=9007199254740991)])


class TvdObjective(WireModel):
    type: Literal['tvd']
    temperature: Annotated[float, Field(ge=0.01, le=100.0)] = 1
    on_policy_fraction: Annotated[float, Field(ge=0.0, le=1.0)] = 0
    sampling: Annotated[Sampling, Field(validate_default=True)] = {}
    kd_ratio: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5


Objective = TypeAliasType(
    "Objective",
    Annotated[
        DpkdObjective | RewardKlObjective | SftObjective | SeqKdObjective | MiniLlmObjective | ForwardKlObjective | ReverseKlObjective | JsdObjective | SkewForwardKlObjective | SkewReverseKlObjective | TvdObjective | AdaptiveKlObjective,
        Field(discriminator='type'),
    ],
)


class Welcome(WireModel):
    type: Literal['welcome']
    re: Annotated[int, Field(ge=1, le=9007199254740991)]
    protocol: Annotated[int, Field(description='what is spoken on this socket', ge=1, le=9007199254740991)]
    worker: Id
    lease_ms: Annotated[int, Field(ge=1, le=9007199254740991)]
    contact_ms: Annotated[
        int, Field(description='stop all work after this long without an ack of progress', ge=1, le=9007199254740991)
    ]
    progress_ms: Annotated[int, Field(ge=1, le=9007199254740991)]
    reconcile: list[ReconcileItem]


ToWorker = TypeAliasType("ToWorker", Annotated[Welcome | Lease | Ack | Cancel | Drain, Field(discriminator='type')])


class Wire(WireModel):
    from_worker: FromWorker
    to_worker: ToWorker
    row: Row
    blob_stored: BlobStored
    sampled_rows: SampledRows
