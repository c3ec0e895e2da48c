// Annotations that mean something to the runtime. All others are for those who read the state.

/** The ones of crun that tsrun follows too (crun(1), EXTENSIONS TO OCI). */
export const knownAnnotations = [
  'run.oci.keep_original_groups',
  'run.oci.hooks.stdout',
  'run.oci.hooks.stderr',
] as const;

type KnownAnnotation = (typeof knownAnnotations)[number];

/** The text of an annotation, '' where it is absent. */
export function annotation(all: Readonly<Record<string, string>> | undefined, name: KnownAnnotation): string {
  return all?.[name] ?? '';
}

/** podman run --group-add keep-groups: the caller's supplementary groups stay. */
export function keepsGroups(all: Readonly<Record<string, string>> | undefined): boolean {
  const text = annotation(all, 'run.oci.keep_original_groups');
  return text !== '' && text !== '0';
}
