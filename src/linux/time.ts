/** A time as RFC 3339 in UTC with nanoseconds, as Go's RFC3339Nano: trailing zeros of the fraction are left out. */
export function formatTime(seconds: number, nanoseconds: number): string {
  const [year, month, day] = dateOf(Math.floor(seconds / 86400));
  const rest = seconds % 86400;
  const two = (value: number) => String(value).padStart(2, '0');
  const fraction = String(nanoseconds).padStart(9, '0').replace(/0+$/, '');
  const clock = `${two(Math.floor(rest / 3600))}:${two(Math.floor(rest / 60) % 60)}:${two(rest % 60)}`;
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}T${clock}${fraction === '' ? '' : `.${fraction}`}Z`;
}

/** Year, month and day of a day since 1970. Counted from March, leap days come last and months fall into a pattern. */
function dateOf(days: number): [number, number, number] {
  const shifted = days + 719468;
  const era = Math.floor(shifted / 146097);
  const ofEra = shifted - era * 146097;
  const yearOfEra = Math.floor(
    (ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36524) - Math.floor(ofEra / 146096)) / 365,
  );
  const ofYear = ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const month = Math.floor((5 * ofYear + 2) / 153);
  const day = ofYear - Math.floor((153 * month + 2) / 5) + 1;
  const civil = month < 10 ? month + 3 : month - 9;
  return [yearOfEra + era * 400 + (civil <= 2 ? 1 : 0), civil, day];
}
