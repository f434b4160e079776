package window

import "time"

// firstMonday is the start of an ISO week near the epoch: Monday, 5 January 1970.
const firstMonday = 4 * Day

// WeekStart returns the start of the ISO week that holds t: Monday 00:00 UTC.
func WeekStart(t int64) int64 { return Floor(t-firstMonday, Week) + firstMonday }

// WeekName returns the ISO 8601 name of the week that holds t, such as
// 2026-W01. The year is that of the week's Thursday; years outside 0 to 9999
// keep as many digits as they need.
func WeekName(t int64) string {
	year, week := time.UnixMilli(t).UTC().ISOWeek()
	return string(appendPadded(append(appendPadded(nil, year, 4), "-W"...), week, 2))
}

// appendPadded appends n with at least width digits.
func appendPadded(dst []byte, n, width int) []byte {
	if n < 0 {
		dst, n = append(dst, '-'), -n
	}
	var digits [20]byte
	at := len(digits)
	for n > 0 || len(digits)-at < width {
		at--
		digits[at] = byte('0' + n%10)
		n /= 10
	}
	return append(dst, digits[at:]...)
}
