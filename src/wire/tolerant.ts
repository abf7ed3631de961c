// What a later version adds to a message is left unread.
import { z } from "zod";

const JsonObject = z.record(z.string(), z.unknown());

/** The value without the object members that the schema does not name. Where it may be one of several objects that no member
 * tells apart, they are left as they are. */
export function known(schema: z.core.$ZodType, value: unknown): unknown {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodNullable) {
    return known(schema.def.innerType, value);
  }
  if (schema instanceof z.ZodUnion) {
    const option = optionFor(schema, value);
    return option === null ? value : known(option, value);
  }
  if (schema instanceof z.ZodArray) {
    return Array.isArray(value) ? value.map((item) => known(schema.def.element, item)) : value;
  }
  const members = schema instanceof z.ZodObject ? JsonObject.safeParse(value).data : undefined;
  if (!(schema instanceof z.ZodObject) || members === undefined) return value;
  const shape: Record<string, z.core.$ZodType> = schema.def.shape;
  const named = Object.entries(shape).filter(([name]) => Object.hasOwn(members, name));
  return Object.fromEntries(named.map(([name, member]) => [name, known(member, members[name])]));
}

/** The one option of a union that has members and may be meant; null where none is, or any of several. */
function optionFor(union: z.ZodUnion, value: unknown): z.core.$ZodType | null {
  const options = union.def.options.filter((option) => mayBe(option, value, discriminatorOf(union)));
  const [only] = options;
  return only !== undefined && options.length === 1 ? only : null;
}

const discriminatorOf = (union: z.ZodUnion): string | null =>
  union instanceof z.ZodDiscriminatedUnion ? union.def.discriminator : null;

function mayBe(option: z.core.$ZodType, value: unknown, discriminator: string | null): boolean {
  if (option instanceof z.ZodArray) return Array.isArray(value);
  if (option instanceof z.ZodUnion)
    return option.def.options.some((inner) => mayBe(inner, value, discriminatorOf(option)));
  if (!(option instanceof z.ZodObject)) return false;
  const members = JsonObject.safeParse(value).data;
  if (members === undefined || Array.isArray(value)) return false;
  if (discriminator === null) return true;
  const shape: Record<string, z.core.$ZodType> = option.def.shape;
  const said = shape[discriminator];
  return said !== undefined && z.safeParse(said, members[discriminator]).success;
}
