// The words that the data set is made of. Each list serves one category only where the word itself is what is asked,
// so that no passage of one split gives away an answer of another (generate.ts asserts this).

const list = (text: string): readonly string[] => text.trim().split(/\s+/);

export const names = list(`
  Ada Ben Clara David Emma Felix Grace Henry Irene Jack Karen Leo Maria Noah Olga Paul Quinn Rosa Sam Tina
  Umar Vera Will Yara Zoe Alan Beth Carl Dora Eric Fiona Gina Hugo Ivan`);

export const numbers = list("two three four five six seven eight nine ten eleven twelve");

/** Things that can be counted; already plural, and none of them is asked for as a plural. */
export const countables = list(`
  goats hens mules ducks lemons onions pencils buttons coins candles carrots pillows towels spoons ribbons bricks
  stamps marbles bottles blankets tickets cushions magnets pebbles shells cookies balloons stickers nails ropes tiles
  saucers medals feathers kittens crayons acorns pumpkins sponges blocks envelopes radishes goblets buckets pearls`);

export const objects = list(`
  lamp map kettle camera wallet passport notebook ladder teapot mirror umbrella basket clock jacket letter
  compass helmet vase radio puzzle lantern pillowcase flask calendar folder charger suitcase diary towel`);

export const places = [
  "in the drawer",
  "on the shelf",
  "under the bed",
  "behind the door",
  "in the kitchen",
  "on the table",
  "in the garage",
  "under the stairs",
  "in the attic",
  "on the balcony",
  "behind the sofa",
  "in the cellar",
  "on the porch",
  "in the cupboard",
  "under the desk",
  "in the garden",
  "on the roof",
  "in the hallway",
  "behind the curtain",
  "in the trunk",
  "on the piano",
  "in the office",
  "under the bench",
  "on the windowsill",
] as const;

export const stops = list(`
  museum harbour zoo bakery bank library market castle station school hospital park theatre stadium church bridge
  beach farm mill hotel airport cinema tower pharmacy monument lake village factory prison temple`);

/** Things people did; none of these verbs is asked for as a past tense. */
export const deeds = [
  "painted the fence",
  "washed the car",
  "baked the bread",
  "fixed the sink",
  "cleaned the chimney",
  "watered the plants",
  "cooked the soup",
  "folded the laundry",
  "brushed the poodle",
  "locked the gate",
  "opened the shop",
  "called the plumber",
  "mailed the parcel",
  "repaired the bicycle",
  "planted the tulips",
  "carried the bags",
  "answered the phone",
  "peeled the turnips",
  "polished the shoes",
  "mopped the floor",
  "emptied the bins",
  "fed the cats",
  "set the alarm",
  "signed the contract",
  "returned the ring",
  "mowed the lawn",
  "ironed the shirts",
  "ordered the pizza",
] as const;

export const kinds: Readonly<Record<string, readonly string[]>> = {
  animal: list(`
    tiger elephant giraffe rabbit squirrel dolphin penguin shark zebra leopard kangaroo eagle pigeon lion bear turtle
    frog snake`),
  food: list(`
    apple banana cherry mango pear grape cheese rice chocolate spaghetti yoghurt bacon noodles salmon steak broccoli
    strawberry cabbage`),
  garment: list(`
    shirt sweater skirt trousers coat blouse vest dress gloves socks cardigan jeans pyjamas shorts hat boots sandals
    hoodie`),
  vehicle: list(`
    truck bus tractor motorcycle van taxi ambulance tram scooter helicopter train limousine ferry minibus airplane
    lorry submarine boat`),
};

export const praise = list(`
  delicious wonderful excellent superb charming delightful fantastic lovely perfect brilliant amazing great pleasant
  beautiful outstanding marvellous splendid fabulous impressive enjoyable gorgeous magnificent terrific remarkable
  exquisite stunning flawless elegant spotless tasty cosy inviting refreshing memorable generous comfortable
  admirable adorable blissful captivating divine dreamy faultless fascinating glorious heavenly idyllic inspiring
  luxurious phenomenal sensational sublime`);

export const complaint = list(`
  awful terrible horrible disgusting dreadful bland filthy broken rude disappointing boring overpriced dirty noisy
  stale soggy rotten greasy shabby smelly unpleasant miserable tasteless mediocre ugly cramped gloomy lousy useless
  appalling atrocious annoying faulty dull poor inedible
  abysmal bleak chaotic damp depressing dingy embarrassing frustrating ghastly grim hideous horrendous horrid mouldy
  nasty pathetic`);

/** What a guest may write about. */
export const reviewed = list("meal room service breakfast music view dessert show bathroom tour lobby salad pool menu");

/** "knife:knives" and so on. */
const pairs = (text: string): ReadonlyMap<string, string> =>
  new Map(
    list(text).map((pair) => {
      const [from, to] = pair.split(":");
      if (from === undefined || to === undefined) throw new Error(`not a pair: ${pair}`);
      return [from, to];
    }),
  );

/** Nouns whose plural follows the spelling rule, then those whose plural does not. */
export const regularNouns = list(`
  city baby berry party story country family puppy army pony enemy lady body hobby memory
  box fox dish brush watch glass class branch sandwich tax kiss bush witch lunch match wish
  dog tree house river window flower teacher mountain key day monkey boy toy ocean horse
  photo chair planet friend doctor star wheel cloud engine camel king queen island prize`);
export const irregularPlurals = pairs(`
  knife:knives leaf:leaves wolf:wolves wife:wives child:children man:men woman:women foot:feet tooth:teeth
  mouse:mice hero:heroes potato:potatoes`);

/** Verbs whose past follows the spelling rule, then those whose past does not. */
export const regularVerbs = list(`
  stop plan hug drop clap beg nod dance smile hope love move close arrive invite promise improve notice escape
  try cry study hurry marry worry reply apply play jump laugh help climb shout enjoy visit listen push start
  work walk ask wait talk cross finish remember follow explain join mention agree save share change knock`);
export const irregularPasts = pairs(`
  sing:sang write:wrote drive:drove break:broke speak:spoke know:knew grow:grew keep:kept sleep:slept
  send:sent find:found bring:brought think:thought see:saw eat:ate give:gave`);
