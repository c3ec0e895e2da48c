// What a text of config.json may look like. Character loops and indexOf rather than regular expressions where these
// run for every string of the file: QuickJS starts its regex engine anew for each.

const SLASH = 0x2f;

/** PATH_MAX without the NUL. */
const PATH_BYTES = 4095;
/** __NEW_UTS_LEN: what sethostname(2) and setdomainname(2) accept. */
const UTS_NAME_BYTES = 64;
/** IFNAMSIZ without the NUL. */
const IFNAME_BYTES = 15;

/** All that reaches the kernel is a C string. */
export function isText(text: string): boolean {
  return text.indexOf('\0') < 0;
}

export function isAnything(_text: string): boolean {
  return true;
}

export function isNonEmptyText(text: string): boolean {
  return text !== '' && text.indexOf('\0') < 0;
}

export function isPath(text: string): boolean {
  return text !== '' && text.indexOf('\0') < 0 && fits(text, PATH_BYTES);
}

export function isAbsolutePath(text: string): boolean {
  return text.charCodeAt(0) === SLASH && isPath(text);
}

/** A path that is looked up inside the container; `..` would only hide where it leads. */
export function isContainerPath(text: string): boolean {
  return isPath(text) && !climbs(text);
}

export function isAbsoluteContainerPath(text: string): boolean {
  return text.charCodeAt(0) === SLASH && isContainerPath(text);
}

export function isUtsName(text: string): boolean {
  return isNonEmptyText(text) && fits(text, UTS_NAME_BYTES);
}

/** `NAME=value`, as runc asks for. */
export function isEnvironmentEntry(text: string): boolean {
  return text.indexOf('=') > 0 && text.indexOf('\0') < 0;
}

/** Some of `r`, `w`, `m`. */
export function isDeviceAccess(text: string): boolean {
  for (let i = 0; i < text.length; i++) if ('rwm'.indexOf(text.charAt(i)) < 0) return false;
  return true;
}

export function isPageSize(text: string): boolean {
  return /^[1-9][0-9]*[KMGT]?B$/.test(text);
}

/** What the kernel takes for a network device (dev_valid_name), without `%`, for which it would choose a number. */
export function isDeviceName(text: string): boolean {
  return !/[\s/:%]/.test(text) && text !== '.' && text !== '..' && isNonEmptyText(text) && fits(text, IFNAME_BYTES);
}

/** The name of one directory. */
export function isFileName(text: string): boolean {
  return text !== '.' && text !== '..' && text.indexOf('/') < 0 && isPath(text);
}

/** A 1.x in SemVer 2.0: within a major version the specification stays compatible (config.md#specification-version). */
export function isKnownVersion(text: string): boolean {
  const parts = /^1\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(.*)$/.exec(text);
  const labels = parts?.[1];
  return (
    labels !== undefined &&
    /^(?:-[\w-]+(?:\.[\w-]+)*)?(?:\+[\w-]+(?:\.[\w-]+)*)?$/.test(labels) &&
    !labels.includes('_')
  );
}

/** Whether `..` is one of the components. */
function climbs(path: string): boolean {
  for (let i = path.indexOf('..'); i >= 0; i = path.indexOf('..', i + 1)) {
    const startsHere = i === 0 || path.charCodeAt(i - 1) === SLASH;
    if (startsHere && (i + 2 === path.length || path.charCodeAt(i + 2) === SLASH)) return true;
  }
  return false;
}

/** The same path without `.`, `..` and empty components, always absolute: what a hint proposes. */
export function cleanPath(path: string): string {
  if (isClean(path)) return path;
  const kept: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') kept.pop();
    else if (part !== '' && part !== '.') kept.push(part);
  }
  return `/${kept.join('/')}`;
}

/** Nearly all are: to take such a path apart and put it together again would be for nothing. */
function isClean(path: string): boolean {
  return (
    path.charCodeAt(0) === SLASH &&
    path.charCodeAt(path.length - 1) !== SLASH &&
    path.indexOf('//') < 0 &&
    path.indexOf('/.') < 0
  );
}

/** Whether UTF-8 needs no more than `bytes`. A UTF-16 unit needs at most three, so most texts are never looked at. */
function fits(text: string, bytes: number): boolean {
  if (text.length * 3 <= bytes) return true;
  let needed = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    // Each half of a surrogate pair counts two of its four bytes.
    needed += unit < 0x80 ? 1 : unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 2 : 3;
  }
  return needed <= bytes;
}
