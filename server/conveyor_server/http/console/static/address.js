// What the page shows, as the part of its address after "#": #/NAME/VERSION.

/** Where the page shows a version. */
export function addressOf({ model_name: name, model_version: version }) {
  return `#/${encodeURIComponent(name)}/${encodeURIComponent(version)}`;
}

/** What an address names; undefined where it names nothing. */
export function namedIn(address) {
  const [, name, version] = address.split("/").map(decoded);
  return { name: name || undefined, version: version || undefined };
}

/** A part that a hand has written may be no code at all; it stands for itself. */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
