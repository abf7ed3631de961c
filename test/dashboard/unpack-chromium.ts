// Unpacks the npm package's Chromium into $TMPDIR, which is where the package's own function writes.
import { join } from "node:path";
import { inflate } from "@sparticuz/chromium";
import { inRoot } from "../../scripts/paths.ts";

const ARCHIVES = inRoot("node_modules", "@sparticuz", "chromium", "bin");
const PARTS = ["chromium.br", "swiftshader.tar.br", "al2023.tar.br"];

await Promise.all(PARTS.map((part) => inflate(join(ARCHIVES, part))));
