"""The worker of understudy: scores, generation and distillation steps for the pool."""

__version__ = "0.2.0.dev0"
