package policy

import (
	"strconv"
	"strings"
)

const wantCron = "five fields, UTC: minute 0-59, hour 0-23, day 1-31, month 1-12, weekday 0-7; each of *, a number, a-b, with /step, or a list of them"

// isCron accepts what the cron of every Unix does, numbers for names.
func isCron(s string) bool {
	fields := strings.Fields(s)
	bounds := [5][2]int{{0, 59}, {0, 23}, {1, 31}, {1, 12}, {0, 7}}
	if len(fields) != len(bounds) {
		return false
	}
	for i, field := range fields {
		for part := range strings.SplitSeq(field, ",") {
			if !isCronPart(part, bounds[i][0], bounds[i][1]) {
				return false
			}
		}
	}
	return true
}

func isCronPart(part string, least, most int) bool {
	span, step, stepped := strings.Cut(part, "/")
	if stepped && !isNumber(step, 1, most) {
		return false
	}
	if span == "*" {
		return true
	}
	from, to, ranged := strings.Cut(span, "-")
	if !ranged {
		return isNumber(from, least, most)
	}
	low, _ := strconv.Atoi(from)
	return isNumber(from, least, most) && isNumber(to, low, most)
}

// isNumber accepts digits alone.
func isNumber(s string, least, most int) bool {
	n, err := strconv.Atoi(s)
	return err == nil && strings.Trim(s, "0123456789") == "" && n >= least && n <= most
}
