package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// Windows are the times of calm, in which the agent changes nothing by itself.
type Windows []Window

// Window is a time of some days of the week, as a clock on the wall shows it: what
// the clock shows twice when summer ends is in it twice, and what it never shows
// when summer begins is not in it.
type Window struct {
	Text     string // as it is written
	days     [7]bool
	from, to int // minutes of the day; with to below from it ends on the next day
	zone     *time.Location
}

const (
	minutesOfDay = 24 * 60
	windowForm   = `"Mon-Fri 09:00-17:00" or "daily 22:00-06:00 Europe/Berlin"`
	// Whoever makes Windows without Load may cover the week; Until ends here then.
	farthest = 5 * 7 * 24 * time.Hour
)

// Until reports whether t lies in a window, and when the calm ends: windows that
// adjoin or overlap are one calm.
func (w Windows) Until(t time.Time) (end time.Time, calm bool) {
	now := t.Round(0) // windows follow the wall clock, whatever the monotonic one says
	for end = now; end.Sub(now) < farthest; {
		i := slices.IndexFunc(w, func(w Window) bool { return w.covers(end) })
		if i < 0 {
			break
		}
		end = w[i].leave(end)
	}
	if end.Equal(now) {
		return time.Time{}, false
	}
	return end.In(t.Location()), true
}

// covers asks what the clock shows, so that no change of the clocks needs a thought.
func (w Window) covers(t time.Time) bool {
	t = t.In(w.zone)
	day, now := t.Weekday(), minuteOf(t)
	if w.from < w.to {
		return w.days[day] && w.from <= now && now < w.to
	}
	return w.days[day] && w.from <= now || w.days[(day+6)%7] && now < w.to
}

// leave is the next moment at which t, which is in the window, might not be any
// more: its end, midnight, or a change of the clocks.
func (w Window) leave(t time.Time) time.Time {
	t = t.In(w.zone)
	end := w.to
	if minuteOf(t) >= end {
		end = minutesOfDay
	}
	left := time.Duration(end-minuteOf(t))*time.Minute - time.Duration(t.Second())*time.Second - time.Duration(t.Nanosecond())
	next := t.Add(left)
	if _, change := t.ZoneBounds(); !change.IsZero() && change.Before(next) {
		return change
	}
	return next
}

func minuteOf(t time.Time) int { return t.Hour()*60 + t.Minute() }

// always reports whether the windows leave no time free. How far their zones are
// apart changes over the year, so it looks at a week of each month, and at one in
// which hardly any country sets its clocks.
func (w Windows) always() bool {
	for month := time.January; month <= time.December; month++ {
		at := time.Date(2026, month, 15, 0, 0, 0, 0, time.UTC)
		if end, calm := w.Until(at); calm && end.Sub(at) >= 7*24*time.Hour {
			return true
		}
	}
	return false
}

func calmFields(c *Config) fields {
	return fields{"window": windows(&c.Calm)}
}

func checkCalm(c *Config, block *hcl.Block) hcl.Diagnostics {
	if len(c.Calm) == 0 {
		return mistake(block.DefRange, "Calm without a window", "Say when the agent is to change nothing by itself: `window = \"Mon-Fri 09:00-17:00\"`; or leave the block out.")
	}
	if c.Calm.always() {
		return mistake(attributeRange(block, "window"), "Calm without an end",
			"The windows cover the whole week, so the agent would never change anything. Leave some time between them; or leave the block out, and for an agent that only reports the `sync` block too.")
	}
	return nil
}

// windows takes one window or a list of them.
func windows(into *Windows) taker {
	const example = "a window or a list of windows, such as " + windowForm
	return func(attr *hcl.Attribute) hcl.Diagnostics {
		elements, notList := hcl.ExprList(attr.Expr)
		if notList.HasErrors() {
			elements = []hcl.Expression{attr.Expr}
		}
		var diags hcl.Diagnostics
		for _, e := range elements {
			v, wrongType := constant(&hcl.Attribute{Name: attr.Name, Expr: e}, cty.String, example)
			if wrongType.HasErrors() {
				diags = append(diags, wrongType...)
				continue
			}
			window, err := parseWindow(v.AsString())
			if err != nil {
				diags = append(diags, mistake(e.Range(), "Wrong window", sentence(err.Error()))...)
			}
			*into = append(*into, window)
		}
		return diags
	}
}

// parseWindow reads DAYS HH:MM-HH:MM [ZONE]. Its errors are sentences for a
// diagnostic, and may end with a question.
func parseWindow(text string) (Window, error) {
	w := Window{Text: text, zone: time.Local}
	parts := strings.Fields(text)
	if len(parts) < 2 {
		return w, fmt.Errorf("a window has days and a time, such as %s%s", windowForm, insteadOf(parts))
	}
	if err := w.readDays(parts[0]); err != nil {
		return w, err
	}
	if err := w.readTimes(parts[1]); err != nil {
		return w, err
	}
	return w, w.readZone(parts[2:])
}

// insteadOf guesses what a lone half of a window wants to be.
func insteadOf(parts []string) string {
	var w Window
	switch {
	case len(parts) == 0:
		return ""
	case w.readTimes(parts[0]) == nil:
		return fmt.Sprintf(". Did you mean %q?", "daily "+parts[0])
	case w.readDays(parts[0]) == nil:
		return fmt.Sprintf(`. Did you mean %q?`, parts[0]+" 00:00-24:00")
	}
	return ""
}

var weekdays = []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"} // as time.Weekday counts

// readDays takes daily, or days and ranges of days with commas between them. A range
// may run over the end of the week.
func (w *Window) readDays(text string) error {
	if text == "daily" {
		w.days = [7]bool{true, true, true, true, true, true, true}
		return nil
	}
	for part := range strings.SplitSeq(text, ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		if first == "" || last == "" {
			return fmt.Errorf("a day is missing in %q; write them as in %s or Sat,Sun", text, windowForm)
		}
		from, err := weekday(first)
		if err != nil {
			return err
		}
		to, err := weekday(last)
		if err != nil {
			return err
		}
		for day := from; ; day = (day + 1) % 7 {
			w.days[day] = true
			if day == to {
				break
			}
		}
	}
	return nil
}

func weekday(name string) (int, error) {
	if i := slices.Index(weekdays, name); i >= 0 {
		return i, nil
	}
	return 0, fmt.Errorf("%q is not a day; write Mon, Tue, Wed, Thu, Fri, Sat, Sun or daily, as in %s%s", name, windowForm, likeDay(name))
}

// likeDay guesses: Monday, MON and Mo are Mon.
func likeDay(name string) string {
	for _, day := range append([]string{"daily"}, weekdays...) {
		if len(name) >= 2 && strings.EqualFold(name[:2], day[:2]) {
			return fmt.Sprintf(". Did you mean %q?", day)
		}
	}
	return ""
}

func (w *Window) readTimes(text string) error {
	first, last, ranged := strings.Cut(text, "-")
	if !ranged {
		return fmt.Errorf("%q is not a time of the day with its end; write HH:MM-HH:MM after the days, as in %s", text, windowForm)
	}
	var err error
	if w.from, err = clock(first); err != nil {
		return err
	}
	if w.to, err = clock(last); err != nil {
		return err
	}
	switch w.from {
	case minutesOfDay:
		return fmt.Errorf(`%q begins when its day is over; write 00:00 and the next day`, text)
	case w.to:
		return fmt.Errorf(`%q ends when it begins; write "00:00-24:00" for a whole day`, text)
	}
	return nil
}

// clock is the minute of the day.
func clock(text string) (int, error) {
	if text == "24:00" {
		return minutesOfDay, nil
	}
	t, err := time.Parse("15:04", text)
	if err == nil && len(text) == len("15:04") {
		return minuteOf(t), nil
	}
	hint := ""
	for _, layout := range []string{"15:04", "15", "3:04pm", "3pm", "15.04"} {
		if t, err := time.Parse(layout, strings.ToLower(text)); err == nil {
			hint = fmt.Sprintf(". Did you mean %q?", t.Format("15:04"))
			break
		}
	}
	return 0, fmt.Errorf("%q is not a time; write it as HH:MM from 00:00 to 24:00, as in %s%s", text, windowForm, hint)
}

func (w *Window) readZone(parts []string) error {
	if len(parts) == 0 {
		return nil
	}
	name := strings.Join(parts, "_") // New York is New_York
	zone, err := time.LoadLocation(name)
	if err == nil && len(parts) == 1 {
		w.zone = zone
		return nil
	}
	hint := ""
	for _, guess := range []string{name, titled(name), strings.ToUpper(name)} {
		if _, err := time.LoadLocation(guess); err == nil {
			hint = fmt.Sprintf(". Did you mean %q?", guess)
			break
		}
	}
	return fmt.Errorf("%q is not a time zone; write its name, such as Europe/Berlin or America/New_York, or UTC, or Local for that of this machine%s", strings.Join(parts, " "), hint)
}

// titled writes europe/berlin as zones are written: Europe/Berlin.
func titled(name string) string {
	begins := true
	return strings.Map(func(r rune) rune {
		s := strings.ToLower(string(r))
		if begins {
			s = strings.ToUpper(s)
		}
		begins = r == '/' || r == '_'
		return []rune(s)[0]
	}, name)
}
