import type { Random } from "./random.ts";
import { pastOf, pluralOf } from "./spelling.ts";
import {
  complaint,
  countables,
  deeds,
  irregularPasts,
  irregularPlurals,
  kinds,
  names,
  numbers,
  objects,
  places,
  praise,
  regularNouns,
  regularVerbs,
  reviewed,
  stops,
} from "./words.ts";

export interface Item {
  prompt: string;
  completion: string;
  /** What may be stated in one row only: a whole fact of a passage, or the very word that is asked about. */
  facts: string[];
}

export interface Category {
  name: string;
  /** Draws one item; generate.ts draws again while a fact of it is taken. */
  draw(random: Random): Item;
  /** The answer, found from the prompt's text alone and by another way than `draw` has it; null where it finds none. */
  solve(prompt: string): string | null;
}

const capture = (text: string, pattern: RegExp): string | null => pattern.exec(text)?.[1] ?? null;
/** "a, b and c" */
const series = (parts: readonly string[]): string => `${parts.slice(0, -1).join(", ")} and ${parts.slice(-1).join("")}`;

const place: Category = {
  name: "place",
  draw(random) {
    const things = random.sample(objects, 3);
    const spots = random.sample(places, 3);
    const facts = things.map((thing, i) => `${thing} ${spots[i]}`);
    const asked = random.below(3);
    const passage = `${random.pick(names)} left ${series(facts.map((fact) => `the ${fact}`))}.`;
    return { prompt: `${passage} Where is the ${things[asked]}?`, completion: spots[asked] ?? "", facts };
  },
  solve(prompt) {
    const thing = capture(prompt, /Where is the (\w+)\?$/);
    return thing && capture(prompt, new RegExp(`the ${thing} (\\w+ the \\w+)`));
  },
};

const who: Category = {
  name: "who",
  draw(random) {
    const people = random.sample(names, 3);
    const done = random.sample(deeds, 3);
    const facts = people.map((person, i) => `${person} ${done[i]}`);
    const asked = random.below(3);
    return { prompt: `${series(facts)}. Who ${done[asked]}?`, completion: people[asked] ?? "", facts };
  },
  solve(prompt) {
    const deed = capture(prompt, /Who (.+)\?$/);
    return deed && capture(prompt, new RegExp(`(\\w+) ${deed}\\b`));
  },
};

const next: Category = {
  name: "next",
  draw(random) {
    const route = random.sample(stops, 4).map((stop) => `the ${stop}`);
    const facts = route.slice(1).map((stop, i) => `${route[i]} then ${stop}`);
    const asked = random.below(3);
    return {
      prompt: `The road runs past ${route.join(", then ")}. What comes right after ${route[asked]}?`,
      completion: route[asked + 1] ?? "",
      facts,
    };
  },
  solve(prompt) {
    const stop = capture(prompt, /right after (the \w+)\?$/);
    return stop && capture(prompt, new RegExp(`${stop}, then (the \\w+)`));
  },
};

const amount: Category = {
  name: "amount",
  draw(random) {
    const things = random.sample(countables, 3);
    const counts = random.sample(numbers, 3);
    const facts = things.map((thing, i) => `${counts[i]} ${thing}`);
    const asked = random.below(3);
    const name = random.pick(names);
    return {
      prompt: `${name} counted ${series(facts)}. How many ${things[asked]} did ${name} count?`,
      completion: counts[asked] ?? "",
      facts,
    };
  },
  solve(prompt) {
    const thing = capture(prompt, /How many (\w+)/);
    return thing && capture(prompt, new RegExp(`(\\w+) ${thing}\\b(?! did)`));
  },
};

const kind: Category = {
  name: "kind",
  draw(random) {
    const options = random.sample(Object.keys(kinds), 3);
    const answer = random.pick(options);
    const thing = random.pick(kinds[answer] ?? []);
    const [first, second, third] = options;
    return {
      prompt: `What kind of thing is called "${thing}": ${first}, ${second} or ${third}?`,
      completion: answer,
      facts: [thing],
    };
  },
  solve(prompt) {
    const thing = capture(prompt, /"(\w+)"/) ?? "";
    const options = (capture(prompt, /: (.+)\?$/) ?? "").split(/, | or /);
    const fitting = options.filter((option) => kinds[option]?.includes(thing));
    return fitting.length === 1 ? (fitting[0] ?? null) : null;
  },
};

const review: Category = {
  name: "review",
  draw(random) {
    const completion = random.pick(["praise", "complaint"]);
    const word = random.pick(completion === "praise" ? praise : complaint);
    const prompt = `A guest says: "The ${random.pick(reviewed)} was ${word}." Is this praise or a complaint?`;
    return { prompt, completion, facts: [word] };
  },
  solve(prompt) {
    const word = capture(prompt, /was (\w+)\./) ?? "";
    if (praise.includes(word) === complaint.includes(word)) return null;
    return praise.includes(word) ? "praise" : "complaint";
  },
};

const plural: Category = {
  name: "plural",
  draw(random) {
    const noun = random.pick([...regularNouns, ...irregularPlurals.keys()]);
    return {
      prompt: `The noun is "${noun}". What is its plural, the word for two or more of them?`,
      completion: pluralOf(noun),
      facts: [noun, pluralOf(noun)],
    };
  },
  solve(prompt) {
    const noun = capture(prompt, /noun is "(\w+)"/);
    return noun && pluralOf(noun);
  },
};

const past: Category = {
  name: "past",
  draw(random) {
    const verb = random.pick([...regularVerbs, ...irregularPasts.keys()]);
    return {
      prompt: `The verb is "${verb}". What is its past tense, the word for having done so yesterday?`,
      completion: pastOf(verb),
      facts: [verb, pastOf(verb)],
    };
  },
  solve(prompt) {
    const verb = capture(prompt, /verb is "(\w+)"/);
    return verb && pastOf(verb);
  },
};

export const categories: readonly Category[] = [place, who, next, amount, kind, review, plural, past];
