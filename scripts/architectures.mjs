// The architectures that tsrun is built for, by Debian's names, and what tools call each of them.
export const architectures = {
  amd64: { node: 'x64', machine: 'x86_64', triplet: 'x86_64-linux-gnu' },
  arm64: { node: 'arm64', machine: 'aarch64', triplet: 'aarch64-linux-gnu' },
};

/** The one of this machine; undefined where tsrun does not know it. */
export const here = Object.keys(architectures).find((name) => architectures[name].node === process.arch);

/** A tool of the GNU toolchain that works for an architecture, such as gcc. */
export const toolFor = (architecture, tool) =>
  architecture === here ? tool : `${architectures[architecture].triplet}-${tool}`;

/** Where what only another architecture needs is kept: scripts/setup arm64 fills it. */
export const cacheOf = (architecture) => `.cache/${architecture}`;

/** Throws a sentence where nothing can be built for it on this machine. */
export function checkArchitecture(name) {
  if (architectures[name] === undefined)
    throw new Error(`--arch ${name}: expected one of ${Object.keys(architectures).join(', ')}`);
  if (name !== here && name !== 'arm64')
    throw new Error(`--arch ${name}: another architecture is built for on ${architectures[name].machine} only`);
}
