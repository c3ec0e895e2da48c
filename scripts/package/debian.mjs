// The texts of a Debian package (deb-control(5), deb-changelog(5), lintian(1)).

/** Lines that begin with a blank, as a description wants them. */
const wrapped = (text) => text.replace(/(.{1,70})(?: |$)/g, ' $1\n').trimEnd();

export function controlFile({ version, architecture, maintainer, description, size }) {
  const [summary, detail] = description.split(': ');
  return `Package: tsrun
Version: ${version}-1
Section: admin
Priority: optional
Architecture: ${architecture}
Maintainer: ${maintainer}
Installed-Size: ${size}
Suggests: containerd | docker.io | podman
Description: ${summary.replace(/^An? /, '')}
${wrapped(`${detail}.`)}
 .
 It takes the commands, flags, exit codes and state of runc, and is one static
 program without dependencies: under podman, Docker, containerd and Kubernetes
 it takes runc's place. Its own commands tell every step that a container would
 take, and each step's place in config.json.
`;
}

export function debianChangelog({ version, maintainer, epoch }) {
  const date = new Date(epoch * 1000).toUTCString().replace('GMT', '+0000');
  return `tsrun (${version}-1) unstable; urgency=medium

  * What is new stands in changelog.gz.

 -- ${maintainer}  ${date}
`;
}

export const lintianOverrides = `# One static program that needs nothing of the system is what this package is for;
# copyright names what it is linked with.
tsrun: statically-linked-binary *
tsrun: embedded-library *
# It does not come from Debian's archive, so no bug there asks for it.
tsrun: initial-upload-closes-no-bugs *
`;
