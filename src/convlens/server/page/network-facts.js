// The network of a run as the page walks through it: stages with the picture before and the probabilities after them.

import { read } from "./api.js";

const KNOWN = new Map(); // name of a run -> its network

/** The answer of /v1/network, each stage with its layers, kept for each run. */
export async function networkOf(run, signal) {
  if (!KNOWN.has(run.name)) KNOWN.set(run.name, prepared(await read("/v1/network", { run: run.name }, { signal }), run));
  return KNOWN.get(run.name);
}

function prepared(network, run) {
  const { channels, height, width } = network.input;
  const layers = withStages(network.layers.filter((layer) => layer.node !== null && layer.node !== undefined));
  const picture = { path: "picture", kind: "picture", title: "the picture", shape: [channels, height, width], layers: [] };
  const stages = network.stages.map((stage) => withLayers(stage, layers)).filter((stage) => stage.layer);
  const probabilities = layers.find((layer) => layer.path === "probabilities");
  const named = { path: "probabilities", kind: "probabilities", title: "probabilities" };
  const last = probabilities && { ...named, shape: [run.classes.length], layer: probabilities, layers: [probabilities] };
  const output = layers.filter((layer) => layer !== probabilities).at(-1);
  for (const layer of [output, probabilities]) if (layer && layer.shape.at(-1) === run.classes.length) layer.names = run.classes;
  return { ...network, layers, stages: [picture, ...stages, ...(last ? [last] : [])] };
}

/** What a network does between its parts, such as an addition, stands with the part before it. */
function withStages(layers) {
  let stage = layers.find((layer) => layer.stage)?.stage;
  return layers.map((layer) => ({ ...layer, stage: (stage = layer.stage ?? stage) }));
}

function withLayers(stage, layers) {
  const own = layers.filter((layer) => layer.stage === stage.path && layer.path !== "probabilities");
  return { ...stage, module: stage.kind, kind: "stage", title: stage.path, layers: own, layer: own.at(-1) };
}

/** The layer of a node, or of a path. */
export const layerOf = (network, { node, layer }) => network.layers.find((one) => (layer ? one.path === layer : one.node === node));
export const stageOf = (network, layer) => network.stages.find((stage) => stage.layers.includes(layer));

/** A convolution has parameters and a window; other layers have no filter to show. */
export const convolves = (layer) => layer.parameters > 0 && /\d×\d/.test(layer.title);

/** Of an operation that a module calls itself the kind is its name, in lower case; "stages.0:1" is an earlier run. */
export const isModule = (layer) => /^[A-Z]/.test(layer.kind) && !/[/:]/.test(layer.path) && layer.path !== "probabilities";
