// Is the bytecode of one libquickjs.a that of another? It refers to opcodes and to predefined atoms by their numbers, so both
// tables have to be equal, and the release too, since a release can give new meanings to old numbers. Sizes and byte order
// need no look: both architectures have 64 bits and are little-endian. test/native/bytecode.test.ts compares what comes out.
import { execFileSync } from 'node:child_process';

const tables = ['opcode_info', 'js_atom_init'];

/** The content of a symbol of an object file (ELF, 64 bits, little-endian; elf(5)). */
function symbol(object, wanted) {
  const offset = Number(object.readBigUInt64LE(0x28));
  const [size, count] = [object.readUInt16LE(0x3a), object.readUInt16LE(0x3c)];
  const sections = Array.from({ length: count }, (_, index) => {
    const at = offset + index * size;
    return {
      type: object.readUInt32LE(at + 4),
      start: Number(object.readBigUInt64LE(at + 0x18)),
      size: Number(object.readBigUInt64LE(at + 0x20)),
      link: object.readUInt32LE(at + 0x28),
    };
  });
  const symbols = sections.find(({ type }) => type === 2);
  const names = sections[symbols?.link ?? 0];
  for (let at = symbols?.start ?? 0; at < (symbols?.start ?? 0) + (symbols?.size ?? 0); at += 24) {
    const name = names.start + object.readUInt32LE(at);
    if (object.toString('latin1', name, object.indexOf(0, name)) !== wanted) continue;
    const from = sections[object.readUInt16LE(at + 6)].start + Number(object.readBigUInt64LE(at + 8));
    return object.subarray(from, from + Number(object.readBigUInt64LE(at + 16)));
  }
  throw new Error(`no ${wanted} in quickjs.o`);
}

function identity(archive) {
  const object = execFileSync('ar', ['p', archive, 'quickjs.o'], { maxBuffer: 1 << 26 });
  const release = /-- (\d{4}-\d{2}-\d{2}) version/.exec(object.toString('latin1'))?.[1];
  if (release === undefined) throw new Error(`${archive} does not say of which release it is`);
  return { release, tables: tables.map((name) => symbol(object, name)) };
}

/** Throws a sentence where bytecode made by the engine of one archive is not for that of the other. */
export function checkSameBytecode(one, other) {
  const [a, b] = [identity(one), identity(other)];
  if (a.release !== b.release)
    throw new Error(`bytecode is not portable: ${one} is QuickJS ${a.release}, ${other} is ${b.release}`);
  const differing = tables.filter((_, index) => !a.tables[index].equals(b.tables[index]));
  if (differing.length > 0)
    throw new Error(`bytecode is not portable: ${differing.join(' and ')} of ${one} and ${other} differ`);
  return a.release;
}
