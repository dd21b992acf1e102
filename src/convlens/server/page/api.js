// Calls to the server: the token, errors that say what and remedy, and a picture sent again where it is no longer kept.

const TOKEN = "convlens token";
const KEPT = new Map(); // id -> Blob of the last pictures, as they were given
const MOST_KEPT = 32;
const CAN_BE_SENT = /^[\x21-\x7e]+$/; // what `convlens serve` takes for a token, and a header can carry
const NO_TOKEN = "A token has only letters without accents, digits and signs, and no space; give the server's own.";

export class ServerError extends Error {
  constructor(status, what, remedy = "") {
    super(what);
    this.status = status;
    this.remedy = remedy;
  }
}

/** `?token=T` and `#token=T` are taken once and leave the address; T as it is, or quoted as an address wants it. */
export function takeToken() {
  const address = new URL(location.href);
  const inHash = address.hash.match(/^#token=(.*)$/s);
  const given = inHash ?? address.search.match(/[?&]token=([^&]*)/);
  if (!given) return;
  useToken(unquoted(given[1]));
  address.searchParams.delete("token");
  if (inHash) address.hash = "";
  history.replaceState(null, "", address);
}

/** "a%2Bb" -> "a+b"; a token with a % of its own is what it is. */
function unquoted(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const useToken = (token) => sessionStorage.setItem(TOKEN, token);
export const token = () => sessionStorage.getItem(TOKEN);
export const isAbort = (error) => error.name === "AbortError";

/** GET; `values` become the query. */
export function read(path, values = {}, { signal } = {}) {
  const query = new URLSearchParams(Object.entries(values).filter(isGiven));
  return answered(path + (query.size ? `?${query}` : ""), { signal });
}

/** POST of JSON. Where a picture is named that the server has forgotten, it is sent again, once. */
export async function ask(path, values, { signal } = {}) {
  const headers = { "Content-Type": "application/json" };
  const request = { method: "POST", body: JSON.stringify(values), headers, signal };
  try {
    return await answered(path, request);
  } catch (error) {
    const blob = error.status === 410 && KEPT.get((values.picture ?? values.pictures?.[0])?.id);
    if (!blob) throw error;
    await send(blob, { run: values.run, top: 1 }, { signal });
    return answered(path, request);
  }
}

/** One picture's bytes to /v1/predict; the picture's id is `predictions[0].picture`. */
export async function send(blob, values = {}, { signal } = {}) {
  const form = new FormData();
  for (const [name, value] of Object.entries(values).filter(isGiven)) form.append(name, value);
  form.append("picture", blob, blob.name ?? "picture");
  const answer = await answered("/v1/predict", { method: "POST", body: form, signal });
  if (answer.predictions.length) keep(answer.predictions[0].picture, blob);
  return answer;
}

/** The answer itself, for streams and files. */
export async function opened(path, request = {}) {
  if (token() && !CAN_BE_SENT.test(token())) throw new ServerError(401, "The token cannot be right.", NO_TOKEN);
  const headers = { ...request.headers, ...(token() ? { Authorization: `Bearer ${token()}` } : {}) };
  let response;
  try {
    response = await fetch(path, { ...request, headers });
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ServerError(0, "The server does not answer.", "Start `convlens serve` again, then try again.");
  }
  if (!response.ok) throw await failure(response);
  return response;
}

/** Shows a picture of the server in an <img>: with a token the bytes are fetched, since an <img> sends no header. */
export async function showPicture(image, path) {
  image.dataset.path = path;
  try {
    await load(image, path);
  } catch (error) {
    if (image.dataset.path !== path) return; // it shows another one by now
    const blob = KEPT.get(path.match(/^\/v1\/pictures\/(\w+)/)?.[1]);
    if (!blob) throw error;
    await send(blob, { top: 1 });
    await load(image, path);
  }
}

async function load(image, path) {
  const source = token() ? URL.createObjectURL(await (await opened(path)).blob()) : path;
  if (image.dataset.path === path) await loaded(image, source);
}

function loaded(image, source) {
  return new Promise((resolve, reject) => {
    const release = () => source.startsWith("blob:") && URL.revokeObjectURL(source);
    image.onload = () => { release(); resolve(); };
    image.onerror = () => { release(); reject(new ServerError(0, "A picture could not be shown.", "Send it again.")); };
    image.src = source;
  });
}

/** Where the server shows a kept picture: "shown" as given, "seen" as the run's network takes it. */
export function picturePath(id, as, run) {
  return `/v1/pictures/${id}?${new URLSearchParams(run ? { as, run } : { as })}`;
}

const isGiven = ([, value]) => value !== null && value !== undefined;

async function answered(path, request) {
  return (await opened(path, request)).json();
}

async function failure(response) {
  const told = await response.json().then((body) => body.error, () => null);
  const remedy = told?.remedy ?? (response.status === 503 ? "The server is busy; try again in a moment." : "");
  return new ServerError(response.status, told?.what ?? `The server answered ${response.status}.`, remedy);
}

function keep(id, blob) {
  KEPT.delete(id);
  KEPT.set(id, blob);
  if (KEPT.size > MOST_KEPT) KEPT.delete(KEPT.keys().next().value);
}
