// What the page asks of the server, and what comes of it: an answer, a refusal in one sentence, or nobody there.

const TOKEN_KEY = "conveyor-token";
const UNKNOWN_CALLER = 401;
// Milliseconds after which nobody is there.
const PATIENCE = 30_000;

/** The server said no; `message` is its sentence. */
export class Refusal extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

/** Nobody answered. */
export class Gone extends Error {
  constructor() {
    super("The server does not answer.");
  }
}

/** Keeps the token for this tab. */
export function keepToken(token) {
  sessionStorage.setItem(TOKEN_KEY, token);
}

/** Every version of every model, with its state. */
export async function listModels() {
  return (await askJson("/v1/models")).models;
}

/** A version's state and its contract. */
export async function getModel(name, version) {
  return askJson(`/v1/models/${encodeURIComponent(name)}/versions/${encodeURIComponent(version)}`);
}

/** The model's answer to a picture, given as a Blob, and what it was given. */
export async function look(model, picture, topK, signal) {
  const path = query("/console/look", { ...model, top_k: topK });
  return askJson(path, { method: "POST", body: picture, signal });
}

/** Which parts of the picture one of the answers rests on; `method` is "occlusion" or "activation". */
export async function explain(model, picture, index, method, signal) {
  const path = query("/console/explain", { ...model, index, method });
  return askJson(path, { method: "POST", body: picture, signal });
}

/** The names of a version's training pictures. */
export async function listPictures(model) {
  return (await askJson(query("/console/pictures", model))).pictures;
}

/** One training picture, as a Blob. */
export async function getPicture(model, name) {
  return read(await ask(query(`/console/pictures/${encodeURIComponent(name)}`, model)), "blob");
}

/** All counters now, and whether the server is ready. */
export async function getPulse() {
  return askJson("/console/pulse");
}

function query(path, parameters) {
  return `${path}?${new URLSearchParams(parameters)}`;
}

async function askJson(path, options = {}) {
  return read(await ask(path, options), "json", options.signal);
}

/** A body, whole. One that breaks off, or that a proxy wrote in the server's place, is nobody's. */
async function read(response, kind, signal) {
  try {
    return await response[kind]();
  } catch {
    if (signal?.aborted) throw signal.reason;
    throw new Gone();
  }
}

async function ask(path, { method = "GET", body, signal } = {}) {
  const headers = { "X-Conveyor-Console": "1" };
  const token = sessionStorage.getItem(TOKEN_KEY);
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/octet-stream";
  const patience = AbortSignal.timeout(PATIENCE);
  const signals = signal ? AbortSignal.any([signal, patience]) : patience;
  let response;
  try {
    response = await fetch(path, { method, headers, body, signal: signals, cache: "no-store", credentials: "omit" });
  } catch {
    if (signal?.aborted) throw signal.reason;
    throw new Gone();
  }
  if (response.ok) return response;
  const sentence = await sentenceOf(response);
  if (response.status === UNKNOWN_CALLER) {
    document.dispatchEvent(new CustomEvent("token-needed", { detail: sentence }));
  }
  throw new Refusal(response.status, sentence);
}

async function sentenceOf(response) {
  try {
    const sentence = (await response.json()).error;
    return sentence.charAt(0).toUpperCase() + sentence.slice(1).replace(/\.?$/, ".");
  } catch {
    return `The server answered with status ${response.status}.`;
  }
}
