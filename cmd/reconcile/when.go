package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// span is a length of time as flags take it: as Go writes durations, with days
// before: "90s", "24h", "7d", "1d12h".
func span(text string) (time.Duration, error) {
	wrong := fmt.Errorf("%q is no length of time; write one such as 90m, 24h or 7d", text)
	var days time.Duration
	rest := text
	if number, after, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			return 0, wrong
		}
		days, rest = time.Duration(n)*24*time.Hour, after
	}
	if days > 0 && rest == "" {
		return days, nil
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 || d+days <= 0 {
		return 0, wrong
	}
	return days + d, nil
}

// instant is a point in time as flags take it: RFC 3339, or a day in UTC, of which it
// is the beginning or, with end, the end.
func instant(text string, end bool) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is no time; write a day such as 2026-11-30, or a time such as 2026-11-30T18:00:00Z", text)
	}
	if end {
		day = day.AddDate(0, 0, 1)
	}
	return day, nil
}

// back is an instant, or that long before now.
func back(text string, end bool, now time.Time) (time.Time, error) {
	if d, err := span(text); err == nil {
		return now.Add(-d), nil
	}
	t, err := instant(text, end)
	if err != nil {
		err = fmt.Errorf("%q is no time; write how long ago, such as 24h or 7d, a day such as 2026-11-30, or a time such as 2026-11-30T18:00:00Z", text)
	}
	return t, err
}
