// Strict, type-aware rules; and the import direction of the architecture:
// routes -> services -> { pool, store, scorer, scoring, evaluation } -> wire; pool -> { store, scorer };
// { scorer, playground } -> student -> wire; playground -> { dashboard, scoring }.
import tseslint from "typescript-eslint";

/** The folders of src that each folder may import from. A folder that is not named here is open to nobody. */
const MAY_IMPORT = {
  wire: [],
  scoring: ["wire"],
  evaluation: ["wire"],
  store: ["wire"],
  pool: ["store", "scorer", "wire"],
  // Runs in a Worker and in a browser: files and runtime are handed in.
  student: ["wire"],
  // A Worker of its own: others take its interface's types alone.
  scorer: ["student", "wire"],
  services: ["pool", "store", "scorer", "scoring", "evaluation", "wire"],
  middleware: ["services", "store", "wire"],
  routes: ["services", "middleware", "wire"],
  sdk: ["wire"],
  // Types alone: see `dashboardImports`.
  dashboard: ["wire"],
  // Its page as the dashboard; its worker runs the student.
  playground: ["dashboard", "scoring", "student", "wire"],
};
/** Folders that know nothing of this program but the wire: not its root files, and no package but these. */
const PURE = { wire: ["zod"], scoring: ["zod"], evaluation: ["zod", "re2js"], sdk: ["zod"] };

/** The page runs in a browser: of this program it knows the wire's types, which leave nothing in its bundle. */
const dashboardImports = [
  { regex: "^(\\.\\./)+wire/", allowTypeImports: true, message: "src/dashboard takes types from src/wire, no values." },
  { regex: "^(?!preact(/|$)|\\.)", message: "src/dashboard needs no package but preact." },
];

function importDirection([folder, allowed]) {
  const forbidden = Object.keys(MAY_IMPORT).filter((other) => other !== folder && !allowed.includes(other));
  const patterns = [
    {
      regex: `^(\\.\\./)+(${forbidden.join("|")})/`,
      message: `src/${folder} may import from ${["itself", ...allowed].join(", ")} only.`,
    },
  ];
  if (folder in PURE) {
    patterns.push(
      { regex: "^(\\.\\./)+[a-z-]+\\.ts$", message: `src/${folder} knows nothing of the program around it.` },
      {
        regex: `^(?!(${PURE[folder].join("|")})$|\\.)`,
        message: `src/${folder} needs no package but ${PURE[folder].join(" and ")}.`,
      },
    );
  }
  return { files: [`src/${folder}/**/*.{ts,tsx}`], rules: { "no-restricted-imports": ["error", { patterns }] } };
}

export default tseslint.config(
  { ignores: ["node_modules/", "dist/", ".venv/", ".understudy/", ".wrangler/", "gpu-worker/"] },
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        project: ["tsconfig.json", "tsconfig.dashboard.json", "tsconfig.test.json", "tsconfig.node.json"],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      eqeqeq: "error",
      "max-lines": ["error", { max: 300 }],
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "separate-type-imports" }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      // A zod schema and its type share a name.
      "@typescript-eslint/no-redeclare": "off",
    },
  },
  {
    files: ["src/**/*.{ts,tsx}"],
    rules: { "@typescript-eslint/consistent-type-assertions": ["error", { assertionStyle: "never" }] },
  },
  ...Object.entries(MAY_IMPORT).map(importDirection),
  {
    files: ["src/dashboard/**/*.{ts,tsx}"],
    rules: { "@typescript-eslint/no-restricted-imports": ["error", { patterns: dashboardImports }] },
  },
  {
    files: ["test/**/*.ts"],
    rules: {
      "@typescript-eslint/no-non-null-assertion": "off",
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-unsafe-member-access": "off",
      "@typescript-eslint/no-unsafe-argument": "off",
      "@typescript-eslint/no-unsafe-call": "off",
      "@typescript-eslint/no-unsafe-return": "off",
      "@typescript-eslint/require-await": "off",
    },
  },
  { files: ["**/*.js", "**/*.mjs"], extends: [tseslint.configs.disableTypeChecked] },
);
