// Image configuration to config.json (image-spec conversion.md). Pure.

import { TsrunError } from '../errors.ts';
import { specTemplate } from '../spec/template.ts';
import type { Mount, Spec } from '../spec/types.ts';
import type { ImageConfig } from './types.ts';
import type { Ids } from './users.ts';

export interface Conversion {
  /** In place of the image's Cmd; empty for that itself. */
  readonly args: readonly string[];
  readonly ids: Ids;
  /** Whether the container gets a terminal. */
  readonly terminal: boolean;
  /** Set without root: who then is uid 0 and gid 0 inside. */
  readonly caller: readonly [uid: number, gid: number] | undefined;
}

/** What Docker, podman and containerd give a container of an image: enough for package managers and daemons. */
const capabilities = [
  'CAP_AUDIT_WRITE',
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_MKNOD',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_RAW',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
];

const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** @throws {TsrunError} where neither the image nor the caller names a command. */
export function convert(image: ImageConfig, { args, ids, terminal, caller }: Conversion): Spec {
  const { config = {} } = image;
  const command = [...(config.Entrypoint ?? []), ...(args.length > 0 ? args : (config.Cmd ?? []))];
  if (command.length === 0) throw new TsrunError('the image names no command: give one behind "--"');
  if (caller !== undefined && (ids.uid !== 0 || ids.gid !== 0))
    throw new TsrunError(
      `the image's user is ${ids.uid}:${ids.gid}: without root there is only 0:0 in a container (user_namespaces(7))`,
    );
  const [uid, gid] = caller ?? [0, 0];
  const template = specTemplate({ rootless: caller !== undefined, uid, gid });
  const annotations = annotationsOf(image);
  return {
    ...template,
    process: {
      ...template.process,
      terminal,
      user: {
        uid: ids.uid,
        gid: ids.gid,
        ...(ids.additionalGids.length === 0 || caller !== undefined ? {} : { additionalGids: ids.additionalGids }),
      },
      args: command,
      env: environment(config.Env ?? [], terminal),
      cwd: config.WorkingDir || '/',
      // Those of the caller: what a service needs is not for us to say.
      rlimits: [],
      capabilities: {
        bounding: capabilities,
        // Only root has capabilities from the start; others get what files and setuid programs give.
        ...(ids.uid === 0 ? { effective: capabilities, permitted: capabilities } : {}),
      },
      // File capabilities and setuid programs of the image work, as in the engines.
      noNewPrivileges: false,
    },
    root: { path: 'rootfs', readonly: false },
    mounts: [...(template.mounts ?? []), ...Object.keys(config.Volumes ?? {}).map(volume)],
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
}

function environment(env: readonly string[], terminal: boolean): string[] {
  const has = (name: string) => env.some((entry) => entry.startsWith(`${name}=`));
  return [...(has('PATH') ? [] : [PATH]), ...(terminal && !has('TERM') ? ['TERM=xterm'] : []), ...env];
}

/** Away from the root file system, with what the image has there; it lives as long as the container. */
function volume(destination: string): Mount {
  const parts = destination.split('/').filter((part) => part !== '' && part !== '.');
  if (!destination.startsWith('/') || parts.length === 0 || parts.includes('..'))
    throw new TsrunError(`the image's volume ${JSON.stringify(destination)}: expected an absolute path below /`);
  return { destination, type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'nodev', 'tmpcopyup'] };
}

/** Annotations that tell a runtime what to do on the host (crun, systemd, criu): an image may not. */
const FOR_RUNTIMES = /^(run\.oci|org\.systemd\.property|org\.criu)\./;

/** conversion.md#annotation-fields. Labels win over what is made of other fields. */
function annotationsOf(image: ImageConfig): Record<string, string> {
  const { config = {} } = image;
  const ports = Object.keys(config.ExposedPorts ?? {});
  const made: Readonly<Record<string, string | undefined>> = {
    os: image.os,
    architecture: image.architecture,
    variant: image.variant,
    'os.version': image['os.version'],
    'os.features': image['os.features']?.join(','),
    author: image.author,
    created: image.created,
    stopSignal: config.StopSignal,
    exposedPorts: ports.length === 0 ? undefined : ports.join(','),
  };
  const annotations: Record<string, string> = {};
  for (const [name, value] of Object.entries(made))
    if (value !== undefined && value !== '') annotations[`org.opencontainers.image.${name}`] = value;
  for (const [name, value] of Object.entries(config.Labels ?? {}))
    if (!FOR_RUNTIMES.test(name)) annotations[name] = value;
  return annotations;
}
