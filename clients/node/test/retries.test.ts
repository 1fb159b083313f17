// Retries, deadlines, tokens and broken streams against a scripted server: what a real one does not do on demand.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { Client, ConveyorError } from "../src/index.js";

const protos = fileURLToPath(new URL("../../proto", import.meta.url));
const definition = loadSync("conveyor/v1/classifier.proto", { includeDirs: [protos], longs: Number, oneofs: true });
const service = definition["conveyor.v1.ClassifierService"] as grpc.ServiceDefinition;
const result = { answer: { predictions: [{ label: "one", index: 1, probability: 1 }] } };

const script = { failures: [] as grpc.status[], breaks: [] as number[], calls: 0, metadata: new grpc.Metadata() };
const server = new grpc.Server();
let client: Client;
let address: string;

function classify(call: grpc.ServerUnaryCall<{ images: [] }, unknown>, done: grpc.sendUnaryData<unknown>): void {
  script.calls += 1;
  script.metadata = call.metadata;
  const code = script.failures.shift();
  if (code !== undefined) return done({ code, details: "busy." });
  done(null, { results: call.request.images.map(() => result), modelName: "m", modelVersion: "7" });
}

function classifyStream(call: grpc.ServerDuplexStream<{ itemId: number }, unknown>): void {
  script.calls += 1;
  let left = script.breaks.shift() ?? Infinity;
  call.on("data", ({ itemId }) => {
    if (left-- > 0) call.write({ itemId, result, modelName: "m" });
    else call.emit("error", { code: grpc.status.UNAVAILABLE, details: "stopping." });
  });
  call.on("end", () => call.end());
}

before(async () => {
  server.addService(service, { classify, classifyStream });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  address = `127.0.0.1:${port}`;
  client = new Client(address, { token: () => "secret" });
});
beforeEach(() => Object.assign(script, { failures: [], breaks: [], calls: 0 }));
after(() => {
  client.close();
  server.forceShutdown();
});

const image = new Uint8Array([1]);
const images = Array<Uint8Array>(100).fill(image);

test("a call is tried again while the server is stopping or full", async () => {
  script.failures = [grpc.status.UNAVAILABLE, grpc.status.RESOURCE_EXHAUSTED];
  assert.equal((await client.classify(image, { model: "m" })).label, "one");
  assert.equal(script.calls, 3);
});

test("but not for ever, and not when it may have been done", async () => {
  script.failures = Array<grpc.status>(9).fill(grpc.status.RESOURCE_EXHAUSTED);
  await assert.rejects(client.classify(image, { model: "m" }), { kind: "overloaded" });
  assert.equal(script.calls, 5);
  script.failures = [grpc.status.INTERNAL];
  await assert.rejects(client.classify(image, { model: "m" }), { kind: "server-error" });
  assert.equal(script.calls, 6);
});

test("the token and the trace go along", async () => {
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  await client.classify(image, { model: "m", traceparent });
  assert.deepEqual(script.metadata.get("authorization"), ["Bearer secret"]);
  assert.deepEqual(script.metadata.get("traceparent"), [traceparent]);
  assert.match(String(script.metadata.get("user-agent")[0]), /^conveyor-node\//);
});

for (const breaks of [[0], [1], [50], [10, 10, 10, 10, 10, 10]]) {
  test(`a stream that breaks after ${breaks} answers is resumed`, async () => {
    script.breaks = [...breaks];
    const found: number[] = [];
    for await (const answer of client.stream(images, { model: "m" })) found.push(answer.index);
    assert.deepEqual(found, [...images.keys()]);
    assert.equal(script.calls, breaks.length + 1);
  });
}

test("a stream whose server does not come back names what was not answered", async () => {
  script.breaks = [3, 0, 0, 0, 0, 0, 0];
  const read = async (): Promise<void> => {
    for await (const answer of client.stream(images.slice(0, 10), { model: "m" })) assert.ok(answer.index < 3);
  };
  await assert.rejects(read(), (error: ConveyorError) => {
    assert.equal(error.kind, "server-unavailable");
    assert.match(error.message, /stopping: 7 of the images sent were not answered: image 4, image 5, image 6, \.\.\.$/);
    return true;
  });
  assert.equal(script.calls, 5);
});
