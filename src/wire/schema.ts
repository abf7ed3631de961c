// JSON Schema of the wire, from which the Python types and the OpenAPI components are made.
import { z } from "zod";

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** Names the member that tells a discriminated union's options apart; zod's converter leaves it out. */
function discriminate(schema: z.core.$ZodType, json: JsonSchema): void {
  if (schema instanceof z.ZodDiscriminatedUnion) {
    json.discriminator = { propertyName: schema.def.discriminator };
  }
}

/** Keeps patterns portable: no `format` beside a pattern, no `\d`, which Python reads as any Unicode digit. */
function portablePattern(json: JsonSchema): void {
  if (json.type !== "string" || json.pattern === undefined) return;
  delete json.format;
  json.pattern = json.pattern.replaceAll("\\d", "[0-9]");
}

/** What zod's own converter leaves out or writes differently from what both languages need. */
export const override = (context: { zodSchema: z.core.$ZodType; jsonSchema: JsonSchema }): void => {
  discriminate(context.zodSchema, context.jsonSchema);
  portablePattern(context.jsonSchema);
};

/** One schema with all that it names under `$defs`. */
export const toJsonSchema = (schema: z.ZodType): JsonSchema =>
  z.toJSONSchema(schema, { io: "input", target: "draft-2020-12", override });

/** Every named schema as an OpenAPI component. */
export const components = (): Record<string, JsonSchema> =>
  z.toJSONSchema(z.globalRegistry, {
    io: "input",
    target: "draft-2020-12",
    uri: (id) => `#/components/schemas/${id}`,
    override,
  }).schemas;
