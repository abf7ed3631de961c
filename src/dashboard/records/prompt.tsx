// A prompt: one text, or the turns of a conversation.
import type { Prompt as Asked } from "../../wire/common.ts";
import type { Read } from "../guards.ts";
import { Written } from "./text.tsx";

export const Prompt = ({ prompt }: { prompt: Read<Asked> }) =>
  typeof prompt === "string" ? (
    <Written text={prompt} />
  ) : (
    <ol class="turns">
      {prompt.map(({ role, content }, i) => (
        <li key={i}>
          <span class="role">{role}</span>
          <Written text={content} />
        </li>
      ))}
    </ol>
  );
