// node finish.ts TREE STATE TINY: finishes everything that a crash interrupted, by the stack of a work tree. Prints what came of
// it as JSON on the last line.
import { settled } from "../settled.ts";
import { loadRelease } from "./release.ts";

const [tree = "", state = "", tiny = ""] = process.argv.slice(2);

const release = await loadRelease(tree);
const stack = await release.startStack({ folder: state, port: 0, workers: 0, models: { tiny } });
const worker = release.startWorker({ ...stack.worker("worker-2"), threads: 1 });
try {
  console.log(JSON.stringify(await settled({ url: stack.url, key: stack.keys.admin })));
} finally {
  await release.stopWorker(worker);
  await stack.stop();
}
process.exit(0);
