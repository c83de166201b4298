// What the OpenAI SDK sees of the demonstration host, as one line of JSON for host_oracle.py.
// Arguments: the SDK's directory, the API's base URL, a key with enough money, one with enough for a single request, and
// the base URL of a host that is slow.
import { pathToFileURL } from "node:url";
import { join } from "node:path";

const [packages, baseURL, apiKey, poorKey, slowURL] = process.argv.slice(2);
const { default: OpenAI } = await import(pathToFileURL(join(packages, "node_modules/openai/index.mjs")));
const client = new OpenAI({ apiKey, baseURL, maxRetries: 0, timeout: 60000 });
const slow = new OpenAI({ apiKey, baseURL: slowURL, maxRetries: 0, timeout: 60000 });
const seen = { requests: [], streams: [], errors: [], embeddings: [], hung_up: [] };
const ask = (text) => [{ role: "system", content: "Be exact. ".repeat(80) }, { role: "user", content: text }];

async function plain(model, text, max_tokens) {
    const answer = await client.chat.completions.create({ model, messages: ask(text), max_tokens });
    const choice = answer.choices[0];
    seen.requests.push({ model: answer.model, usage: answer.usage, finish: choice.finish_reason, text: choice.message.content });
}

async function stream(model, text, max_tokens) {
    const began = performance.now();
    const events = await client.chat.completions.create({
        model, messages: ask(text), max_tokens, stream: true, stream_options: { include_usage: true } });
    const one = { model, pieces: 0, text: "", first_ms: 0, finish: null, usage: null };
    for await (const chunk of events) {
        const piece = chunk.choices[0]?.delta?.content;
        if (piece !== undefined) {
            one.first_ms ||= performance.now() - began;
            one.pieces++;
            one.text += piece;
        }
        one.id = chunk.id;
        one.finish = chunk.choices[0]?.finish_reason ?? one.finish;
        one.usage = chunk.usage ?? one.usage;
    }
    seen.streams.push(one);
}

// Hangs up after two tokens of very many.
async function hangUp() {
    const events = await slow.chat.completions.create({ model: "gpt-4-turbo", messages: ask("hang"), stream: true });
    let pieces = 0;
    for await (const chunk of events) {
        if (++pieces < 2)
            continue;
        seen.hung_up.push(chunk.id);
        break; // the SDK aborts the request
    }
}

async function fails(what, promise) {
    try {
        const result = await promise();
        if (result?.[Symbol.asyncIterator])
            for await (const chunk of result);
        seen.errors.push({ what, name: null });
    } catch (error) {
        seen.errors.push({ what, name: error.constructor.name, status: error.status ?? null, code: error.code ?? null,
                           type: error.type ?? null });
    }
}

const models = [];
for await (const model of client.models.list())
    models.push(model.id);
seen.models = models;
seen.model = await client.models.retrieve("gpt-4o");
await Promise.all([
    plain("gpt-4o", "one", 7), plain("gpt-4o-mini", "two", undefined), plain("gpt-4o", "three", 1),
    stream("gpt-4o", "four", 12), stream("gpt-4o-mini", "five", undefined), stream("o1-mini", "six", 30),
    stream("gpt-4-turbo", "seven", 1), ...Array.from({ length: 20 }, (_, i) => stream("gpt-3.5-turbo", "many " + i, 40)),
]);
const embedding = await client.embeddings.create({ model: "text-embedding-3-small", input: ["a", "some text"], dimensions: 16 });
const floats = await client.embeddings.create({
    model: "text-embedding-3-small", input: ["a", "some text"], dimensions: 16, encoding_format: "float" });
seen.embeddings.push({ usage: embedding.usage, vectors: embedding.data.map((row) => Array.from(row.embedding)) });
seen.embeddings.push({ usage: floats.usage, vectors: floats.data.map((row) => Array.from(row.embedding)) });
await plain("gpt-4-turbo", "hang", undefined);
await hangUp();
await hangUp();

const poor = new OpenAI({ apiKey: poorKey, baseURL, maxRetries: 0 });
const nobody = new OpenAI({ apiKey: "sk-nobody", baseURL, maxRetries: 0 });
const spend = () => poor.chat.completions.create({ model: "gpt-4o", messages: [{ role: "user", content: "x" }], max_tokens: 5 });
await spend(); // enough for one
seen.poor_spent = true;
await fails("over budget", spend);
await fails("unknown key", () => nobody.chat.completions.create({ model: "gpt-4o", messages: ask("x") }));
await fails("unknown model", () => client.chat.completions.create({ model: "gpt-17", messages: ask("x") }));
await fails("no model", () => client.models.retrieve("gpt-17"));
await fails("bad request", () => client.chat.completions.create({ model: "gpt-4o", messages: [] }));
await fails("too large", () => client.chat.completions.create({ model: "gpt-4o", messages: ask("x".repeat(1100000)) }));
await fails("internal", () => client.chat.completions.create({ model: "gpt-4o", messages: ask("x") },
                                                             { headers: { "X-Demo-Fault": "before" } }));
await fails("midway", () => client.chat.completions.create({ model: "gpt-4o", messages: ask("x"), stream: true },
                                                           { headers: { "X-Demo-Fault": "midway" } }));
console.log(JSON.stringify(seen));
process.exit(0);
