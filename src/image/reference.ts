// Where an image is, as a command line names it. Pure.

import { TsrunError } from '../errors.ts';

export interface Reference {
  readonly kind: 'oci' | 'oci-archive' | 'docker-archive';
  /** A directory or a file. */
  readonly path: string;
  readonly tag: string | undefined;
  /** sha256:… of a manifest. */
  readonly digest: string | undefined;
  /** As it was given. */
  readonly text: string;
}

const pattern = /^(oci|oci-archive|docker-archive):(.*)$/s;

/**
 * `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:NAME:TAG]`, or `@sha256:…` in place of the tag. As in
 * skopeo and podman the path ends at the first colon.
 * @throws {TsrunError}
 */
export function parseReference(text: string): Reference {
  const [, kind, rest = ''] = pattern.exec(text) ?? [];
  if (kind === undefined)
    throw new TsrunError(
      `${JSON.stringify(text)} is no image: expected oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE`,
    );
  const at = rest.indexOf('@');
  const [place, digest] = at < 0 ? [rest, undefined] : [rest.slice(0, at), rest.slice(at + 1)];
  const colon = place.indexOf(':');
  const [path, tag] = colon < 0 ? [place, undefined] : [place.slice(0, colon), place.slice(colon + 1)];
  if (path === '') throw new TsrunError(`${JSON.stringify(text)}: expected a path behind "${kind}:"`);
  if (tag === '') throw new TsrunError(`${JSON.stringify(text)}: expected a tag behind the colon`);
  if (digest !== undefined && !isDigest(digest))
    throw new TsrunError(`${JSON.stringify(text)}: expected sha256: and 64 hexadecimal digits behind "@"`);
  if (digest !== undefined && tag !== undefined)
    throw new TsrunError(`${JSON.stringify(text)}: expected a tag or a digest, found both`);
  return { kind: kind as Reference['kind'], path, tag, digest, text };
}

/** The only algorithm that the specification asks every implementation to know (image-spec descriptor.md#digests). */
export const isDigest = (text: unknown): text is string =>
  typeof text === 'string' && /^sha256:[a-f0-9]{64}$/.test(text);

/** The 64 digits of a digest. */
export const hexOf = (digest: string): string => digest.slice('sha256:'.length);
