// The run's own teacher, or another model of the project.
import { useId } from "preact/hooks";

interface Teacher {
  teacher: string;
  teachers: readonly string[];
  choose: (teacher: string) => void;
}

export function TeacherChoice({ teacher, teachers, choose }: Teacher) {
  const list = useId();
  return (
    <label class="field">
      <span>Teacher</span>
      <input
        value={teacher}
        list={list}
        spellcheck={false}
        autocomplete="off"
        onInput={(event) => choose(event.currentTarget.value.trim())}
      />
      <datalist id={list}>
        {teachers.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
    </label>
  );
}
