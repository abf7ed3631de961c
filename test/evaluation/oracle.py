"""The oracle of `oracle.node.test.ts`: reads one JSON object from stdin, writes the answers of rouge-score, scipy and
plain Python to stdout. Run by the test, in the project's virtual environment."""

import json
import re
import string
import sys
import unicodedata
from collections import Counter
from decimal import Decimal

import numpy
import scipy.optimize
import scipy.special
import scipy.stats
from nltk.stem.porter import PorterStemmer
from rouge_score.rouge_scorer import RougeScorer


def normalize(text: str) -> str:
    """Exact match's form of an answer, in Python's own words: `lower`, `string.punctuation`, `split`."""
    table = str.maketrans("", "", string.punctuation)
    return " ".join(text.lower().translate(table).split())


def token_f1(response: str, reference: str) -> float:
    """F1 over bags of normalised words; two texts without words agree."""
    ours, theirs = normalize(response).split(), normalize(reference).split()
    if not ours or not theirs:
        return float(ours == theirs)
    shared = (Counter(ours) & Counter(theirs)).total()
    return 2 * shared / (len(ours) + len(theirs))


def contains(response: str, reference: str) -> bool:
    """Whether the reference's words stand side by side in the response."""
    ours, theirs = normalize(response).split(), normalize(reference).split()
    if not theirs:
        return not ours
    return any(ours[start : start + len(theirs)] == theirs for start in range(len(ours) - len(theirs) + 1))


DIGITS = frozenset(string.digits)
MINUS = frozenset("-\u2212")


def number_end(text: str, start: int) -> int:
    """Where the number ends whose first digit, or whose point before a digit, stands at `start`."""

    def run(at: int) -> int:
        while at < len(text) and text[at] in DIGITS:
            at += 1
        return at

    end = run(start)
    if 0 < end - start <= 3:
        while text[end : end + 1] == "," and run(end + 1) == end + 4:
            end += 4
    return run(end + 1) if text[end : end + 1] == "." and run(end + 1) > end + 1 else end


def is_negative(text: str, start: int, first: int) -> bool:
    """Whether a minus that counts stands before `start`; nothing before `first` belongs to this number."""

    def at(place: int) -> str:
        return text[place] if place >= first else ""

    def currency(place: int) -> bool:
        return at(place) != "" and unicodedata.category(at(place)) == "Sc"

    place = start - 1
    if at(place) in MINUS and currency(place - 1):
        return True
    if currency(place):
        place -= 1
    if at(place) not in MINUS:
        return False
    before = text[place - 1] if place > 0 else " "
    return before != "%" and unicodedata.category(before)[0] not in "LN" and unicodedata.category(before) != "Pe"


def last_number(text: str) -> Decimal | None:
    """The last number of a text, read from left to right one character at a time."""
    number, place, first = None, 0, 0
    while place < len(text):
        after_word = place > 0 and unicodedata.category(text[place - 1])[0] in "LN"
        point = text[place] == "." and text[place + 1 : place + 2] in DIGITS and not after_word
        if text[place] in DIGITS or point:
            end = number_end(text, place)
            number = Decimal(text[place:end].replace(",", ""))
            number = -number if is_negative(text, place, first) else number
            place = first = end
        else:
            place += 1
    return number


def numeric_match(response: str, references: list[str]) -> bool | None:
    """Whether the last numbers are equal as decimals; None where no reference has one."""
    wanted = [number for number in map(last_number, references) if number is not None]
    return last_number(response) in wanted if wanted else None


def percent(value: float | None) -> float | None:
    """x100; None stays."""
    return None if value is None else 100 * float(value)


def metrics(texts: list[tuple[list[str], str]], patterns: list[str]) -> dict[str, list[float | None]]:
    """Every metric of every pair, by its name; a pair's pattern goes by its place."""
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
    compiled = [re.compile(pattern, re.ASCII) for pattern in patterns]
    values: dict[str, list[float | None]] = {}
    for place, (references, response) in enumerate(texts):
        rouge = scorer.score_multi(references, response)
        found = {
            "exact_match": normalize(response) in map(normalize, references),
            "contains": any(contains(response, reference) for reference in references),
            "numeric_match": numeric_match(response, references),
            "regex_match": compiled[place % len(compiled)].search(response) is not None,
            "token_f1": max(token_f1(response, reference) for reference in references),
            "rouge_1": rouge["rouge1"].fmeasure,
            "rouge_2": rouge["rouge2"].fmeasure,
            "rouge_l": rouge["rougeL"].fmeasure,
        }
        for metric, value in found.items():
            values.setdefault(metric, []).append(percent(value))
    return values


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


def bradley_terry(wins: list[list[float]]) -> list[float]:
    """Strengths at the maximum of the likelihood, the first player's 0: BFGS on the sum over ordered pairs."""
    table = numpy.array(wins)
    numpy.fill_diagonal(table, 0)

    def margins(free: numpy.ndarray) -> numpy.ndarray:
        strengths = numpy.concatenate([[0.0], free])
        return strengths[:, None] - strengths[None, :]

    def loss(free: numpy.ndarray) -> float:
        return float(-(table * scipy.special.log_expit(margins(free))).sum())

    def slope(free: numpy.ndarray) -> numpy.ndarray:
        surprise = table * scipy.special.expit(-margins(free))
        return (surprise.sum(axis=0) - surprise.sum(axis=1))[1:]

    found = scipy.optimize.minimize(loss, numpy.zeros(len(table) - 1), jac=slope, method="BFGS", tol=1e-10)
    return [0.0, *found.x.tolist()]


def strength_intervals(students: list[list[float]], resamples: list[list[int]]) -> list[list[float]]:
    """Percentiles of the strengths that are fitted, all together, to the items of each resample."""
    values = numpy.array(students)
    fits = []
    for items in resamples:
        shares = values[:, items].sum(axis=1)
        table = numpy.zeros((len(values) + 1, len(values) + 1))
        table[1:, 0], table[0, 1:] = shares, len(items) - shares
        fits.append(bradley_terry(table.tolist())[1:])
    return numpy.percentile(numpy.array(fits), [2.5, 97.5], axis=0).T.tolist()


def main() -> None:
    """Answers every question of the request."""
    ask = json.load(sys.stdin)
    stemmer = PorterStemmer()
    answer = {
        "metrics": metrics(ask["texts"], ask["patterns"]),
        "normalized": [normalize(response) for _, response in ask["texts"]],
        "stems": [stemmer.stem(word) for word in ask["words"]],
        "mcnemar": [scipy.stats.binomtest(min(b, c), b + c, 0.5).pvalue if b + c else 1.0 for b, c in ask["discordant"]],
        "wilson": [wilson(successes, n) for successes, n in ask["shares"]],
        "sigmoid": [float(scipy.special.expit(x)) for x in ask["margins"]],
        "log_sigmoid": [float(scipy.special.log_expit(x)) for x in ask["margins"]],
        "softmax": [scipy.special.softmax(numpy.array(rewards)).tolist() for rewards in ask["rewards"]],
        "bradley_terry": [bradley_terry(wins) for wins in ask["tables"]],
        "strengths": strength_intervals(**ask["boards"]),
        "holm": [holm(p_values) for p_values in ask["p_values"]],
    }
    json.dump(answer, sys.stdout)


main()
