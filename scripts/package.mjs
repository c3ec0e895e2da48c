// npm run package: for each architecture a tarball and a package for Debian, and SHA256SUMS, in dist/packages/. The same
// commit gives the same bytes: all times are that of the commit (or SOURCE_DATE_EPOCH), names are sorted, owners are root.
// DEBFULLNAME and DEBEMAIL: the maintainer, if not the author of the commit.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { architectures, here } from './architectures.mjs';
import { controlFile, debianChangelog, lintianOverrides } from './package/debian.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
process.chdir(root);
process.umask(0o022);

const out = 'dist/packages';
const staging = 'build/packages';
const { version, description } = JSON.parse(readFileSync('package.json', 'utf8'));
const asked = (...command) => execFileSync(command[0], command.slice(1), { encoding: 'utf8' }).trim();
const run = (...command) => execFileSync(command[0], command.slice(1), { stdio: 'inherit' });

const epoch = Number(process.env.SOURCE_DATE_EPOCH ?? asked('git', 'log', '-1', '--format=%ct'));
process.env.SOURCE_DATE_EPOCH = String(epoch);
const [name, email] = asked('git', 'log', '-1', '--format=%an%n%ae').split('\n');
const maintainer = `${process.env.DEBFULLNAME ?? name} <${process.env.DEBEMAIL ?? email}>`;

const gzipped = (text) => gzipSync(text, { level: 9 });

function put(path, content, mode = 0o644) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  chmodSync(path, mode);
}

function copy(from, to, mode = 0o644) {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
  chmodSync(to, mode);
}

/** What the program says about itself is the same for all architectures, so that of this machine is asked. */
function told(...words) {
  const { status, stdout, stderr } = spawnSync(resolve('dist/tsrun'), words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`tsrun ${words.join(' ')}: ${stderr}`);
  return stdout;
}

/** Nothing is executed but the two programs: tsrun-init is inside, so there is no libexec. */
function layPrograms(prefix, architecture) {
  copy(join('dist', architecture === here ? '' : architecture, 'tsrun'), join(prefix, 'bin/tsrun'), 0o755);
  symlinkSync('tsrun', join(prefix, 'bin/containerd-shim-tsrun-v2'));
}

const documents = ['README.md', 'ARCHITECTURE.md', 'docs/engines.md', 'docs/conformance.md', 'docs/dependencies.md'];
const completions = {
  bash: 'bash-completion/completions/tsrun',
  zsh: 'zsh/site-functions/_tsrun',
  fish: 'fish/vendor_completions.d/tsrun.fish',
};

function tarball(architecture) {
  const folder = `tsrun-${version}-linux-${architecture}`;
  const prefix = join(staging, folder);
  layPrograms(prefix, architecture);
  put(join(prefix, 'share/man/man8/tsrun.8'), told('man'));
  for (const [shell, path] of Object.entries(completions)) put(join(prefix, 'share', path), told('completion', shell));
  for (const file of [...documents, 'CHANGELOG.md', 'LICENSE']) copy(file, join(prefix, 'share/doc/tsrun', file));
  copy('scripts/package/copyright', join(prefix, 'share/doc/tsrun/copyright'));
  const bytes = execFileSync(
    'tar',
    [
      ...['--create', '--format=gnu', '--sort=name', `--mtime=@${epoch}`],
      ...['--owner=0', '--group=0', '--numeric-owner', '-C', staging, folder],
    ],
    { maxBuffer: 1 << 28 },
  );
  writeFileSync(join(out, `${folder}.tar.gz`), gzipped(bytes));
  return `${folder}.tar.gz`;
}

function debianPackage(architecture) {
  const file = `tsrun_${version}-1_${architecture}.deb`;
  const tree = join(staging, `deb-${architecture}`);
  const share = join(tree, 'usr/share');
  const docs = join(share, 'doc/tsrun');
  layPrograms(join(tree, 'usr'), architecture);
  put(join(share, 'man/man8/tsrun.8.gz'), gzipped(told('man')));
  symlinkSync('tsrun.8.gz', join(share, 'man/man8/containerd-shim-tsrun-v2.8.gz'));
  for (const [shell, path] of Object.entries(completions))
    put(join(share, path.replace('site-functions', 'vendor-completions')), told('completion', shell));
  for (const document of documents) copy(document, join(docs, document));
  copy('scripts/package/copyright', join(docs, 'copyright'));
  put(join(docs, 'changelog.gz'), gzipped(readFileSync('CHANGELOG.md')));
  put(join(docs, 'changelog.Debian.gz'), gzipped(debianChangelog({ version, maintainer, epoch })));
  put(join(share, 'lintian/overrides/tsrun'), lintianOverrides);
  const size = asked('du', '-ks', '--apparent-size', join(tree, 'usr')).split('\t')[0];
  put(join(tree, 'DEBIAN/control'), controlFile({ version, architecture, maintainer, description, size }));
  put(join(tree, 'DEBIAN/md5sums'), md5sums(tree));
  run('dpkg-deb', '-Zxz', '--root-owner-group', '--build', tree, join(out, file));
  return file;
}

function md5sums(tree) {
  const files = asked('find', tree, '-type', 'f', '-path', '*/usr/*').split('\n').sort();
  const digest = (file) => createHash('md5').update(readFileSync(file)).digest('hex');
  return files.map((file) => `${digest(file)}  ${file.slice(tree.length + 1)}\n`).join('');
}

function main() {
  if (asked('git', 'status', '--porcelain') !== '')
    console.error(
      'package: there are changes that are not committed; the packages are not those of the commit they name',
    );
  const wanted = here === 'amd64' ? Object.keys(architectures) : [here];
  for (const left of Object.keys(architectures).filter((one) => !wanted.includes(one)))
    console.error(`package: packages for ${left} are made on a machine with ${architectures[left].machine}`);
  for (const path of [out, staging]) rmSync(path, { recursive: true, force: true });
  run('scripts/build');
  for (const architecture of wanted) if (architecture !== here) run('scripts/build', '--arch', architecture);
  if (!existsSync('dist/tsrun')) throw new Error('dist/tsrun was not built, because libquickjs is missing');
  mkdirSync(out, { recursive: true });
  const files = wanted.flatMap((architecture) => [tarball(architecture), debianPackage(architecture)]);
  const sums = files.map((file) => {
    const digest = createHash('sha256')
      .update(readFileSync(join(out, file)))
      .digest('hex');
    return `${digest}  ${file}\n`;
  });
  writeFileSync(join(out, 'SHA256SUMS'), sums.join(''));
  process.stdout.write(sums.join(''));
}

try {
  main();
} catch (error) {
  console.error(`package: ${error.message}`);
  process.exitCode = 1;
}
