"""The oracle of `oracle.node.test.ts`: reads one JSON object from stdin, writes the answers of rouge-score, scipy and
plain Python to stdout. Run by the test, in the project's virtual environment."""

import json
import string
import sys

import numpy
import scipy.special
import scipy.stats
from nltk.stem.porter import PorterStemmer
from rouge_score.rouge_scorer import RougeScorer


def normalize(text: str) -> str:
    """Exact match's form of an answer, in Python's own words: `lower`, `string.punctuation`, `split`."""
    table = str.maketrans("", "", string.punctuation)
    return " ".join(text.lower().translate(table).split())


def holm(p_values: list[float]) -> list[float]:
    """Holm's adjustment by its definition: the largest of (m - rank) * p over all that are no larger."""
    values = numpy.array(p_values)
    ranks = scipy.stats.rankdata(values, method="ordinal") - 1
    scaled = numpy.minimum(1, (len(values) - ranks) * values)
    return [float(scaled[ranks <= rank].max()) for rank in ranks]


def wilson(successes: int, n: int) -> list[float]:
    """scipy's Wilson interval without continuity correction."""
    interval = scipy.stats.binomtest(successes, n).proportion_ci(confidence_level=0.95, method="wilson")
    return [interval.low, interval.high]


def main() -> None:
    """Answers every question of the request."""
    ask = json.load(sys.stdin)
    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    stemmer = PorterStemmer()
    answer = {
        "rouge_l": [scorer.score_multi(refs, response)["rougeL"].fmeasure for refs, response in ask["texts"]],
        "exact_match": [normalize(response) in map(normalize, refs) for refs, response in ask["texts"]],
        "normalized": [normalize(response) for _, response in ask["texts"]],
        "stems": [stemmer.stem(word) for word in ask["words"]],
        "mcnemar": [scipy.stats.binomtest(min(b, c), b + c, 0.5).pvalue if b + c else 1.0 for b, c in ask["discordant"]],
        "wilson": [wilson(successes, n) for successes, n in ask["shares"]],
        "sigmoid": [float(scipy.special.expit(x)) for x in ask["margins"]],
        "log_sigmoid": [float(scipy.special.log_expit(x)) for x in ask["margins"]],
        "softmax": [scipy.special.softmax(numpy.array(rewards)).tolist() for rewards in ask["rewards"]],
        "holm": [holm(p_values) for p_values in ask["p_values"]],
    }
    json.dump(answer, sys.stdout)


main()
