// Where two responses part: the words between what they begin with and what they end with.

export interface Parted {
  start: string;
  own: string;
  end: string;
}

const shared = (a: readonly string[], b: readonly string[]): number => {
  const parting = a.findIndex((word, i) => word !== b[i]);
  return parting === -1 ? Math.min(a.length, b.length) : parting;
};

/** `text` as it compares with `other`; white space stays, so that the three parts make up the text again. */
export function parted(text: string, other: string): Parted {
  const mine = text.split(/(?<=\s)/);
  const theirs = other.split(/(?<=\s)/);
  const head = shared(mine, theirs);
  const tail = shared(mine.slice(head).reverse(), theirs.slice(head).reverse());
  const end = mine.length - tail;
  return {
    start: mine.slice(0, head).join(""),
    own: mine.slice(head, end).join(""),
    end: mine.slice(end).join(""),
  };
}
