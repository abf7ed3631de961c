// TRL, whose distillation trainers are measured.
import { peerPython } from "../peers.ts";

/** The newest on PyPI when this was written; it works with the project's torch and transformers. */
export const TRL = "1.16.0";

export const trlPython = (): string => peerPython("trl", [`trl==${TRL}`, "datasets==5.2.0"]);
