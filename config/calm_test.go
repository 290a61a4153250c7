package config_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the zones of the tests, wherever they run

	"nomad-reconcile/config"
)

func loadWindows(t *testing.T, windows ...string) config.Windows {
	t.Helper()
	src := fmt.Sprintf("calm {\n  window = [%s]\n}\n", quoted(windows))
	c, diags := config.Load("reconcile.hcl", []byte(src))
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return c.Calm
}

func quoted(texts []string) string {
	var out []string
	for _, s := range texts {
		out = append(out, fmt.Sprintf("%q", s))
	}
	return strings.Join(out, ", ")
}

// moment reads a time with its offset and day, which the table's reader sees.
func moment(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse("Mon 2006-01-02 15:04:05 -0700", text)
	if err != nil {
		t.Fatal(err)
	}
	if at.Format("Mon") != text[:3] {
		t.Fatalf("%s is a %s", text, at.Format("Mon"))
	}
	return at
}

func TestUntil(t *testing.T) {
	t.Parallel()
	list := func(windows ...string) []string { return windows }
	office := list("Mon-Fri 09:00-17:00 Europe/Berlin")
	night := list("daily 22:00-06:00 Europe/Berlin")
	tests := map[string]struct {
		windows []string
		at      string
		want    string // empty: no calm
	}{
		"no window":                          {nil, "Wed 2026-03-04 10:00:00 +0100", ""},
		"in office hours":                    {office, "Wed 2026-03-04 10:00:00 +0100", "Wed 2026-03-04 17:00:00 +0100"},
		"asked from elsewhere":               {office, "Wed 2026-03-04 04:00:00 -0500", "Wed 2026-03-04 11:00:00 -0500"},
		"its first moment":                   {office, "Wed 2026-03-04 09:00:00 +0100", "Wed 2026-03-04 17:00:00 +0100"},
		"a second before":                    {office, "Wed 2026-03-04 08:59:59 +0100", ""},
		"its last second":                    {office, "Wed 2026-03-04 16:59:59 +0100", "Wed 2026-03-04 17:00:00 +0100"},
		"its end":                            {office, "Wed 2026-03-04 17:00:00 +0100", ""},
		"weekend":                            {office, "Sat 2026-03-07 10:00:00 +0100", ""},
		"before midnight":                    {night, "Wed 2026-03-04 23:30:00 +0100", "Thu 2026-03-05 06:00:00 +0100"},
		"after midnight":                     {night, "Thu 2026-03-05 05:30:00 +0100", "Thu 2026-03-05 06:00:00 +0100"},
		"by day":                             {night, "Thu 2026-03-05 06:00:00 +0100", ""},
		"the night of Friday is Saturday":    {list("Fri 22:00-06:00 UTC"), "Sat 2026-03-07 05:00:00 +0000", "Sat 2026-03-07 06:00:00 +0000"},
		"the night of Friday, not of before": {list("Fri 22:00-06:00 UTC"), "Fri 2026-03-06 05:00:00 +0000", ""},
		"to midnight":                        {list("Sat,Sun 00:00-24:00 UTC"), "Sat 2026-03-07 12:00:00 +0000", "Mon 2026-03-09 00:00:00 +0000"},
		"to midnight as 00:00":               {list("Sat 18:00-00:00 UTC"), "Sat 2026-03-07 19:00:00 +0000", "Sun 2026-03-08 00:00:00 +0000"},
		"days that wrap":                     {list("Fri-Mon 10:00-12:00 UTC"), "Sun 2026-03-08 11:00:00 +0000", "Sun 2026-03-08 12:00:00 +0000"},
		"days that wrap, outside":            {list("Fri-Mon 10:00-12:00 UTC"), "Tue 2026-03-10 11:00:00 +0000", ""},
		"a range and a day":                  {list("Mon-Tue,Fri 10:00-12:00 UTC"), "Fri 2026-03-06 11:00:00 +0000", "Fri 2026-03-06 12:00:00 +0000"},
		"adjoining":                          {list("Mon 08:00-12:00 UTC", "Mon 12:00-14:00 UTC"), "Mon 2026-03-09 09:00:00 +0000", "Mon 2026-03-09 14:00:00 +0000"},
		"overlapping, the later first":       {list("Mon 11:00-14:00 UTC", "Mon 08:00-12:00 UTC"), "Mon 2026-03-09 09:00:00 +0000", "Mon 2026-03-09 14:00:00 +0000"},
		"over the weekend":                   {list("Mon-Fri 17:00-09:00 UTC", "Sat,Sun 00:00-24:00 UTC"), "Fri 2026-03-06 17:00:00 +0000", "Mon 2026-03-09 00:00:00 +0000"},
		"two zones":                          {list("Mon 08:00-12:00 UTC", "Mon 12:00-14:00 Europe/Berlin"), "Mon 2026-03-09 11:30:00 +0000", "Mon 2026-03-09 13:00:00 +0000"},

		// 2026-03-29, 02:00 +0100 is 03:00 +0200; 2026-10-25, 03:00 +0200 is 02:00 +0100.
		"a night that is shorter":           {night, "Sat 2026-03-28 22:00:00 +0100", "Sun 2026-03-29 06:00:00 +0200"},
		"a night that is longer":            {night, "Sat 2026-10-24 22:00:00 +0200", "Sun 2026-10-25 06:00:00 +0100"},
		"an hour that there is not":         {list("daily 02:00-03:00 Europe/Berlin"), "Sun 2026-03-29 03:00:00 +0200", ""},
		"just before it":                    {list("daily 02:00-03:00 Europe/Berlin"), "Sun 2026-03-29 01:59:59 +0100", ""},
		"an end that there is not":          {list("daily 01:00-02:30 Europe/Berlin"), "Sun 2026-03-29 01:30:00 +0100", "Sun 2026-03-29 03:00:00 +0200"},
		"a beginning that there is not":     {list("daily 02:30-03:30 Europe/Berlin"), "Sun 2026-03-29 03:00:00 +0200", "Sun 2026-03-29 03:30:00 +0200"},
		"the first of two hours":            {list("daily 02:00-03:00 Europe/Berlin"), "Sun 2026-10-25 02:15:00 +0200", "Sun 2026-10-25 03:00:00 +0100"},
		"the second of two hours":           {list("daily 02:00-03:00 Europe/Berlin"), "Sun 2026-10-25 02:15:00 +0100", "Sun 2026-10-25 03:00:00 +0100"},
		"an end that comes twice, first":    {list("daily 01:00-02:30 Europe/Berlin"), "Sun 2026-10-25 01:30:00 +0200", "Sun 2026-10-25 02:30:00 +0200"},
		"an end that comes twice, second":   {list("daily 01:00-02:30 Europe/Berlin"), "Sun 2026-10-25 02:10:00 +0100", "Sun 2026-10-25 02:30:00 +0100"},
		"between the two":                   {list("daily 01:00-02:30 Europe/Berlin"), "Sun 2026-10-25 02:45:00 +0200", ""},
		"a beginning that comes twice":      {list("daily 02:30-04:00 Europe/Berlin"), "Sun 2026-10-25 02:40:00 +0200", "Sun 2026-10-25 03:00:00 +0200"},
		"office hours after the change":     {office, "Mon 2026-03-30 09:00:00 +0200", "Mon 2026-03-30 17:00:00 +0200"},
		"office hours an hour before, then": {office, "Mon 2026-03-30 08:30:00 +0200", ""},
		"from winter into summer":           {list("Sat,Sun 00:00-24:00 Europe/Berlin"), "Sat 2026-03-28 00:00:00 +0100", "Mon 2026-03-30 00:00:00 +0200"},
		"from summer into winter":           {list("Sat,Sun 00:00-24:00 Europe/Berlin"), "Sat 2026-10-24 00:00:00 +0200", "Mon 2026-10-26 00:00:00 +0100"},
		"a gap that the change swallows":    {list("Sat-Sun 03:00-02:00 Europe/Berlin", "Mon-Sat 00:00-24:00 Europe/Berlin"), "Thu 2026-03-26 12:00:00 +0100", "Sun 2026-04-05 02:00:00 +0200"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var windows config.Windows
			if tc.windows != nil {
				windows = loadWindows(t, tc.windows...)
			}
			end, calm := windows.Until(moment(t, tc.at))
			if calm != (tc.want != "") || !calm && !end.IsZero() {
				t.Fatalf("calm %v until %s", calm, end)
			}
			if calm && !end.Equal(moment(t, tc.want)) {
				t.Errorf("until %s, want %s", end, tc.want)
			}
		})
	}
}

// Whoever asks gets an answer in the zone in which they asked.
func TestUntilKeepsTheZone(t *testing.T) {
	t.Parallel()
	at := moment(t, "Wed 2026-03-04 04:00:00 -0500")
	if end, _ := loadWindows(t, "Mon-Fri 09:00-17:00 Europe/Berlin").Until(at); end.Location() != at.Location() {
		t.Errorf("%s", end)
	}
}

func TestLocalWindows(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, time.March, 4, 10, 0, 0, 0, time.Local)
	for _, window := range []string{"Wed 09:00-17:00", "Wed 09:00-17:00 Local"} {
		end, calm := loadWindows(t, window).Until(at)
		if want := at.Add(7 * time.Hour); !calm || !end.Equal(want) {
			t.Errorf("%s: %v until %s, want %s", window, calm, end, want)
		}
	}
}

// Until agrees with looking at the clock every minute, also where clocks are set in
// halves of an hour, at midnight, or by a whole day.
func TestUntilAgreesWithTheClock(t *testing.T) {
	t.Parallel()
	changes := map[string]string{
		"Europe/Berlin":       "2026-10-25T01:00:00Z",
		"America/New_York":    "2026-03-08T07:00:00Z",
		"Australia/Lord_Howe": "2026-04-04T15:00:00Z",
		"America/Sao_Paulo":   "2017-10-15T03:00:00Z",
		"Asia/Beirut":         "2021-10-30T21:00:00Z",
		"Pacific/Apia":        "2011-12-30T10:00:00Z",
		"Asia/Kathmandu":      "2026-06-01T00:00:00Z",
		"UTC":                 "2026-06-01T00:00:00Z",
	}
	var zones []string
	for zone := range changes {
		zones = append(zones, zone)
	}
	calms := 0
	for seed := range uint64(400) {
		random := rand.New(rand.NewPCG(seed, 1))
		var windows []slowWindow
		var texts []string
		zone := zones[random.IntN(len(zones))]
		for range 1 + random.IntN(3) {
			if random.IntN(4) == 0 {
				zone = zones[random.IntN(len(zones))]
			}
			w := randomWindow(t, random, zone)
			windows, texts = append(windows, w), append(texts, w.text)
		}
		change, err := time.Parse(time.RFC3339, changes[zone])
		if err != nil {
			t.Fatal(err)
		}
		at := change.Add(time.Duration(random.IntN(4*24*3600)-2*24*3600) * time.Second)
		end, calm := loadWindows(t, texts...).Until(at)
		want := slowUntil(windows, at)
		if calm != want.After(at) || calm && !end.Equal(want) {
			t.Fatalf("seed %d: %q at %s: calm %v until %s, want %s", seed, texts, at, calm, end, want)
		}
		if calm {
			calms++
		}
	}
	if calms < 50 {
		t.Errorf("hardly any calm was tried: %d times", calms)
	}
}

// slowWindow is a window as a person would work it out: with a calendar, and texts
// of local times, which compare as they follow each other on the clock.
type slowWindow struct {
	text, from, to string
	days           map[string]bool
	zone           *time.Location
}

func randomWindow(t *testing.T, random *rand.Rand, zone string) slowWindow {
	t.Helper()
	location, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	clock := func(hours int) string { return fmt.Sprintf("%02d:%02d", random.IntN(hours), random.IntN(4)*15) }
	w := slowWindow{from: clock(24), to: clock(24), days: map[string]bool{}, zone: location}
	if w.from == w.to {
		w.to = "24:00"
	}
	names := []string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}
	for range 1 + random.IntN(4) {
		w.days[names[random.IntN(7)]] = true
	}
	var days []string
	for day := range w.days {
		days = append(days, day)
	}
	w.text = fmt.Sprintf("%s %s-%s %s", strings.Join(days, ","), w.from, w.to, zone)
	return w
}

func slowUntil(windows []slowWindow, at time.Time) time.Time {
	in := func(at time.Time) bool {
		for _, w := range windows {
			if w.holds(at) {
				return true
			}
		}
		return false
	}
	if !in(at) {
		return at
	}
	at = at.Truncate(time.Minute)
	for in(at) {
		at = at.Add(time.Minute)
	}
	return at
}

func (w slowWindow) holds(at time.Time) bool {
	clock := at.In(w.zone).Format("2006-01-02 15:04")
	year, month, today := at.In(w.zone).Date()
	for back := range 2 {
		day := time.Date(year, month, today-back, 0, 0, 0, 0, time.UTC)
		last := day
		if w.to < w.from {
			last = day.AddDate(0, 0, 1)
		}
		from, to := day.Format("2006-01-02 ")+w.from, last.Format("2006-01-02 ")+w.to
		if w.days[day.Format("Mon")] && from <= clock && clock < to {
			return true
		}
	}
	return false
}

// Windows that nobody has looked at end too.
func TestUntilEnds(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, time.March, 4, 10, 0, 0, 0, time.UTC)
	windows := append(loadWindows(t, "Mon-Wed 00:00-24:00 UTC"), loadWindows(t, "Thu-Sun 00:00-24:00 UTC")...)
	if end, calm := windows.Until(at); !calm || end.Sub(at) < 28*24*time.Hour {
		t.Errorf("calm %v until %s", calm, end)
	}
}
