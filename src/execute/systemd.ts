// systemd as the maker of the container's cgroup. (org.freedesktop.systemd1(5))

import type { UnitProperty } from '../cgroup/unit.ts';
import { Connection, DbusError } from '../dbus/connection.ts';
import { type Value, variant, type Variant } from '../dbus/types.ts';
import { sysError, TsrunError } from '../errors.ts';
import { isSysError, sys, unlessMissing } from '../linux/sys.ts';
import type { UnitStep } from '../plan/unit.ts';

const BUS = 'org.freedesktop.DBus';
const SYSTEMD = 'org.freedesktop.systemd1';
const MANAGER = `${SYSTEMD}.Manager`;
const MANAGER_PATH = '/org/freedesktop/systemd1';

const SYSTEM_BUS = '/run/dbus/system_bus_socket';
/** systemd's own socket: root can do without a message bus. */
const PRIVATE = '/run/systemd/private';
const SIGKILL = 9;

export class Systemd {
  private readonly bus: Connection;
  /** Undefined where systemd itself is at the other end, and no bus between. */
  private readonly destination: string | undefined;
  /** The cgroup below which the manager's slices are; empty for the manager of the whole host. */
  readonly base: string;
  /** Whether this is the service manager of a user. */
  readonly user: boolean;

  private constructor(bus: Connection, onBus: boolean, user: boolean) {
    this.bus = bus;
    this.user = user;
    this.destination = onBus ? SYSTEMD : undefined;
    if (onBus) {
      this.ask(BUS, '/org/freedesktop/DBus', BUS, 'Hello');
      const match = `type='signal',sender='${SYSTEMD}',interface='${MANAGER}',member='JobRemoved'`;
      this.ask(BUS, '/org/freedesktop/DBus', BUS, 'AddMatch', 's', [match]);
      this.manager('Subscribe');
    }
    const [group] = this.ask(this.destination, MANAGER_PATH, `${BUS}.Properties`, 'Get', 'ss', [
      MANAGER,
      'ControlGroup',
    ]);
    this.base = (group as Variant).value as string;
  }

  /**
   * The manager of the host for root, of the user for anybody else.
   * @throws {TsrunError} if there is no D-Bus, or no systemd at its end
   */
  static connect(): Systemd {
    const user = sys.userId() !== 0;
    const path = user ? userBus() : systemBus();
    try {
      return new Systemd(Connection.open(path), path !== PRIVATE, user);
    } catch (error) {
      const reason = isSysError(error) ? sysError('D-Bus', error).message : error instanceof Error ? error.message : '';
      if (!isSysError(error) && !(error instanceof TsrunError)) throw error;
      throw new TsrunError(
        `the systemd cgroup manager needs systemd and D-Bus: ${reason}; hint: without them use --cgroup-manager=cgroupfs`,
      );
    }
  }

  /**
   * Makes the unit, and does the work that puts the container's first process into its cgroup. A unit must not be
   * empty: until the work is done a placeholder is in it.
   */
  inUnit<T>(unit: UnitStep, work: () => T): T {
    const placeholder = sys.placeholder();
    const pidfd = sys.pidfdOpen(placeholder);
    try {
      this.startUnit(unit, placeholder);
      return this.orStop(unit.name, work);
    } finally {
      sys.pidfdSignal(pidfd, SIGKILL);
      sys.close(pidfd);
      sys.wait(placeholder, 0);
    }
  }

  private orStop<T>(name: string, work: () => T): T {
    try {
      return work();
    } catch (error) {
      this.stopUnit(name);
      throw error;
    }
  }

  private startUnit(unit: UnitStep, pid: number): void {
    const properties = [...unit.properties, ['PIDs', variant('au', [pid])] as const];
    const start = () => this.job('StartTransientUnit', 'ssa(sv)a(sa(sv))', [unit.name, 'replace', properties, []]);
    try {
      start();
    } catch (error) {
      if (!isNamed(error, 'UnitExists')) throw error;
      // What is left of an earlier container of this name, and failed, gives way; what still runs does not.
      this.reset(unit.name);
      start();
    }
  }

  /** Changes properties until the unit ends. */
  setProperties(name: string, properties: readonly UnitProperty[]): void {
    if (properties.length > 0) this.manager('SetUnitProperties', 'sba(sv)', [name, true, properties]);
  }

  /** Ends the unit, if it is there, and forgets it. */
  stopUnit(name: string): void {
    try {
      this.job('StopUnit', 'ss', [name, 'replace']);
    } catch (error) {
      if (!isNamed(error, 'NoSuchUnit')) throw error;
    }
    this.reset(name);
  }

  private reset(name: string): void {
    try {
      this.manager('ResetFailedUnit', 's', [name]);
    } catch (error) {
      if (!isNamed(error, 'NoSuchUnit')) throw error;
    }
  }

  /** Waits for the end of the job that a call begins. */
  private job(member: string, signature: string, values: readonly Value[]): void {
    const [path] = this.manager(member, signature, values);
    const signal = this.bus.await(({ member: name, values: [, job] }) => name === 'JobRemoved' && job === path);
    const [, , unit, result] = signal.values as [number, string, string, string];
    if (result !== 'done') throw new TsrunError(`systemd: the job ${member} of ${unit} ended as ${result}`);
  }

  private manager(member: string, signature = '', values: readonly Value[] = []): readonly Value[] {
    return this.ask(this.destination, MANAGER_PATH, MANAGER, member, signature, values);
  }

  private ask(
    destination: string | undefined,
    path: string,
    name: string,
    member: string,
    signature = '',
    values: readonly Value[] = [],
  ): readonly Value[] {
    return this.bus.call({ destination, path, interface: name, member, signature, values });
  }
}

const isNamed = (error: unknown, name: string): boolean =>
  error instanceof DbusError && error.errorName === `${SYSTEMD}.${name}`;

function systemBus(): string {
  const given = addressOf('DBUS_SYSTEM_BUS_ADDRESS');
  if (given !== undefined) return given;
  return unlessMissing(() => sys.stat(SYSTEM_BUS)) === undefined ? PRIVATE : SYSTEM_BUS;
}

function userBus(): string {
  const given = addressOf('DBUS_SESSION_BUS_ADDRESS');
  if (given !== undefined) return given;
  const directory = variable('XDG_RUNTIME_DIR') ?? `/run/user/${sys.userId()}`;
  return `${directory}/bus`;
}

/** The first address with a path. (D-Bus Specification, "Server Addresses") */
function addressOf(name: string): string | undefined {
  const path = /(?:^|;)unix:(?:[^;]*,)?path=([^,;]+)/.exec(variable(name) ?? '')?.[1];
  return path?.replace(/%([0-9a-f]{2})/gi, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}

const variable = (name: string): string | undefined =>
  sys
    .environment()
    .find((entry) => entry.startsWith(`${name}=`))
    ?.slice(name.length + 1);
