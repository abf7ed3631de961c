// A project without evaluations: how the first one is made.
const upload = () => `curl "${location.origin}/v1/datasets?name=questions&split=test" \\
  -H "Authorization: Bearer $UNDERSTUDY_API_KEY" -H "Content-Type: application/x-ndjson" \\
  --data-binary @questions.jsonl`;

const evaluate = () => `curl "${location.origin}/v1/evaluations" \\
  -H "Authorization: Bearer $UNDERSTUDY_API_KEY" -H "Content-Type: application/json" \\
  -d '{"model": "student", "dataset": "questions"}'`;

const Command = ({ text }: { text: string }) => (
  <pre class="command" tabIndex={0}>
    <code>{text}</code>
  </pre>
);

export const Empty = () => (
  <section class="empty">
    <p class="notice">No evaluation of this project has completed yet.</p>
    <h2>Make the first one</h2>
    <p>
      In a clone of the project <code>npm run demo</code> does it all with a real model. With a model of your own,
      upload the questions, one JSON object with <code>prompt</code> and <code>completion</code> a line:
    </p>
    <Command text={upload()} />
    <p>and have a registered model answer them:</p>
    <Command text={evaluate()} />
    <p>
      Both take a key of role <code>write</code>. Answers that you have already are graded without a model: see{" "}
      <a href="/docs">the reference</a>.
    </p>
  </section>
);
