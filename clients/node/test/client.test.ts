// The client against a real server, whose address, model, image folder and labels come from the environment.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Client, ConveyorError, type ErrorKind } from "../src/index.js";

const address = process.env.CONVEYOR_ADDRESS ?? "localhost:8001";
const model = process.env.CONVEYOR_MODEL ?? "tiny";
const folder = process.env.CONVEYOR_IMAGES ?? "images";
/** The label that the model gives to each image, by the model's own runtime. */
const expected = JSON.parse(process.env.CONVEYOR_LABELS ?? "[]") as string[];
const paths = readdirSync(folder).sort().map((name) => join(folder, name));

let client: Client;
before(() => void (client = new Client(address)));
after(() => client.close());

function fails(kind: ErrorKind, message: RegExp) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof ConveyorError, String(error));
    assert.equal(error.kind, kind, error.message);
    assert.match(error.message, message);
    return true;
  };
}

test("one image, as a path and as bytes", async () => {
  const answer = await client.classify(paths[0]!, { model, topK: 3 });
  assert.equal(answer.label, expected[0]);
  assert.equal(answer.predictions.length, 3);
  assert.ok(answer.predictions[0]!.probability >= answer.predictions[1]!.probability);
  assert.equal(answer.modelVersion, "1");
  assert.ok(answer.timings.batchSize >= 1);
  const again = await client.classify(readFileSync(paths[0]!), { model, version: "1" });
  assert.equal(again.label, expected[0]);
});

test("pixels", async () => {
  const data = new Uint8Array(64).map((_, place) => place * 4);
  const answer = await client.classify({ height: 8, width: 8, channels: 1, data }, { model });
  assert.match(answer.label, /^class \d$/);
  const wrong = { height: 9, width: 8, channels: 1, data } as const;
  await assert.rejects(client.classify(wrong, { model }), fails("invalid-image", /64 bytes are no 9 x 8 x 1 pixels/));
});

test("many images, in order, with an error of its own for each bad one", async () => {
  const answers = await client.classifyMany([...paths, "absent.png", new Uint8Array([1, 2])], { model });
  assert.deepEqual(answers.slice(0, -2).map((answer) => answer.label), expected);
  assert.deepEqual(answers.map((answer) => answer.index), [...answers.keys()]);
  assert.match(answers.at(-2)!.error!.message, /^absent\.png: ENOENT/);
  assert.equal(answers.at(-1)!.error!.kind, "invalid-image");
  assert.deepEqual(await client.classifyMany([], { model }), []);
});

test("a stream, in order", async () => {
  async function* camera(): AsyncGenerator<string> {
    for (const path of paths) {
      await pause(0);
      yield path;
    }
  }
  const labels: string[] = [];
  for await (const answer of client.stream(camera(), { model })) labels.push(answer.label);
  assert.deepEqual(labels, expected);
});

test("a stream waits for its reader", async () => {
  let taken = 0;
  function* endless(): Generator<string> {
    for (;;) {
      taken += 1;
      yield paths[taken % paths.length]!;
    }
  }
  const answers = client.stream(endless(), { model });
  await answers.next();
  await pause(300);
  assert.ok(taken <= 67, `${taken} images were taken`);
  await answers.return(undefined);
});

test("bad images in a stream end nothing, however many", async () => {
  const images = [...Array<string>(200).fill("absent.png"), paths[0]!, new Uint8Array([1])];
  const answers = [];
  for await (const answer of client.stream(images, { model })) answers.push(answer);
  assert.equal(answers.length, 202);
  assert.equal(answers[200]!.label, expected[0]);
  assert.equal(answers.filter((answer) => answer.error).length, 201);
});

test("what the images' iterator throws reaches the reader, after the answers before it", async () => {
  function* broken(): Generator<string> {
    yield paths[0]!;
    throw new RangeError("broken");
  }
  const answers = client.stream(broken(), { model });
  assert.equal((await answers.next()).value.label, expected[0]);
  await assert.rejects(answers.next(), RangeError);
});

test("models", async () => {
  const { labels, status } = await client.model(model);
  assert.deepEqual(labels, ["class 0", "class 1", "class 2"]);
  assert.ok(status.ready);
  assert.deepEqual((await client.models()).map((each) => each.modelName), [model]);
});

test("failures are told apart", async () => {
  await assert.rejects(client.classify(paths[0]!, { model: "other" }), fails("model-not-found", /other/));
  await assert.rejects(client.classify(new Uint8Array([1]), { model }), fails("invalid-image", /^image 1: /));
  await assert.rejects(client.classify(new Uint8Array(), { model }), fails("invalid-image", /image is empty/));
  await assert.rejects(client.classify("absent.png", { model }), fails("invalid-image", /ENOENT/));
  await assert.rejects(client.model("other"), fails("model-not-found", /other/));
  const answers = client.stream([paths[0]!], { model: "other" });
  assert.equal((await answers.next()).value.error.kind, "model-not-found");
});

test("a deadline", async () => {
  await assert.rejects(client.classify(paths[0]!, { model, timeoutMs: 0 }), fails("deadline-exceeded", /./));
});

test("nothing at the address", async () => {
  const absent = new Client("127.0.0.1:1", { maxAttempts: 2 });
  await assert.rejects(absent.classify(paths[0]!, { model }), fails("server-unavailable", /127\.0\.0\.1:1/));
  const answers = absent.stream([paths[0]!], { model });
  await assert.rejects(answers.next(), fails("server-unavailable", /127\.0\.0\.1:1/));
  absent.close();
});
