// A labelled list to choose from.
interface Option {
  value: string;
  label: string;
}

interface Choice {
  label: string;
  value: string;
  options: readonly Option[];
  choose: (value: string) => void;
}

export const Choice = ({ label, value, options, choose }: Choice) => (
  <label class="field">
    <span>{label}</span>
    <select value={value} onChange={(event) => choose(event.currentTarget.value)}>
      {options.map((option) => (
        <option key={option.value} value={option.value}>
          {option.label}
        </option>
      ))}
    </select>
  </label>
);
