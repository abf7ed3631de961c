// Prints the OpenAPI document, as the service answers it.
import { app } from "../src/app.ts";

const response = await app.request("/openapi.json");
if (!response.ok) throw new Error(`/openapi.json answers ${response.status}: ${await response.text()}`);
console.log(JSON.stringify(await response.json(), null, 2));
