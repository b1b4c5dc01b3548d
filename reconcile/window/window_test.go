package window_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"tidemark.dev/tidemark/reconcile/window"
)

func made(t *testing.T, specs ...window.Spec) []window.Window {
	t.Helper()
	var all []window.Window
	for _, s := range specs {
		w, err := window.New(s)
		if err != nil {
			t.Fatalf("%+v: %v", s, err)
		}
		all = append(all, w)
	}
	return all
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	parsed, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestJudge(t *testing.T) {
	t.Parallel()
	nights := window.Spec{Kind: window.Allow, Schedule: "0 22 * * *", Duration: 8 * time.Hour}
	manualNights := nights
	manualNights.ManualSync = true
	friday := window.Spec{Kind: window.Deny, Schedule: "0 0 * * 5", Duration: 24 * time.Hour, ManualSync: true}
	shop := window.Spec{Kind: window.Deny, Schedule: "0 0 * * *", Duration: 24 * time.Hour, Apps: []string{"shop-*"}}
	never := window.Spec{Kind: window.Deny, Schedule: "* * * * *", Duration: time.Hour}
	const thursdayNight, thursdayNoon, fridayNoon = "2026-11-26T23:00:00Z", "2026-11-26T12:00:00Z", "2026-11-27T12:00:00Z"
	for name, test := range map[string]struct {
		windows []window.Spec
		app     string
		manual  bool
		now     string
		open    bool
		next    string
		why     string
	}{
		"no window":                      {now: thursdayNoon, open: true},
		"inside what allows":             {windows: []window.Spec{nights}, now: thursdayNight, open: true},
		"its first moment":               {windows: []window.Spec{nights}, now: "2026-11-26T22:00:00Z", open: true},
		"its last moment is over":        {windows: []window.Spec{nights}, now: "2026-11-27T06:00:00Z", next: "2026-11-27T22:00:00Z"},
		"outside of what allows":         {windows: []window.Spec{nights}, now: thursdayNoon, next: "2026-11-26T22:00:00Z", why: "outside of the windows"},
		"a person outside":               {windows: []window.Spec{nights}, manual: true, now: thursdayNoon, next: "2026-11-26T22:00:00Z"},
		"a person may outside":           {windows: []window.Spec{manualNights}, manual: true, now: thursdayNoon, open: true},
		"the schedule may not":           {windows: []window.Spec{manualNights}, now: thursdayNoon, next: "2026-11-26T22:00:00Z"},
		"one that does not let people":   {windows: []window.Spec{manualNights, nights}, manual: true, now: thursdayNoon, next: "2026-11-26T22:00:00Z"},
		"denied":                         {windows: []window.Spec{friday}, now: fridayNoon, next: "2026-11-28T00:00:00Z", why: "a window denies it"},
		"denied, but to people":          {windows: []window.Spec{friday}, manual: true, now: fridayNoon, open: true},
		"deny wins over allow":           {windows: []window.Spec{nights, friday}, now: "2026-11-27T23:00:00Z", next: "2026-11-28T00:00:00Z"},
		"opens only when both let it":    {windows: []window.Spec{nights, friday}, now: fridayNoon, next: "2026-11-28T00:00:00Z"},
		"another app's":                  {windows: []window.Spec{shop}, app: "db", now: thursdayNoon, open: true},
		"by pattern":                     {windows: []window.Spec{shop}, app: "shop-web", now: thursdayNoon},
		"it is not known when it opens":  {windows: []window.Spec{never}, now: thursdayNoon},
		"outside of what denies":         {windows: []window.Spec{friday}, now: thursdayNoon, open: true},
		"an allow for another app alone": {windows: []window.Spec{{Kind: window.Allow, Schedule: "0 0 1 1 *", Duration: time.Hour, Apps: []string{"db"}}}, app: "web", now: thursdayNoon, open: true},
	} {
		got := window.Judge(made(t, test.windows...), test.app, test.manual, at(t, test.now))
		next := ""
		if !got.Next.IsZero() {
			next = got.Next.UTC().Format(time.RFC3339)
		}
		if got.Open != test.open || next != test.next || !strings.Contains(got.Why, test.why) {
			t.Errorf("%s: got open %v, next %q, why %q; want %v, %q, %q", name, got.Open, next, got.Why, test.open, test.next, test.why)
		}
	}
}

// Clocks that are put forward skip an hour, and put back show one twice: no
// window is lost, and none is cut short.
func TestClocksChange(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		schedule, zone string
		duration       time.Duration
		closed, open   []string
	}{
		"a skipped start opens after the gap": {
			schedule: "30 2 * * *", zone: "Europe/Berlin", duration: time.Hour,
			closed: []string{"2026-03-29T02:59:59+02:00", "2026-03-29T00:59:00Z", "2026-03-29T02:00:00Z"},
			open:   []string{"2026-03-29T01:00:00Z", "2026-03-29T01:59:00Z"},
		},
		"a start that comes twice": {
			schedule: "30 2 * * *", zone: "Europe/Berlin", duration: 30 * time.Minute,
			closed: []string{"2026-10-25T00:29:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"},
			open:   []string{"2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"},
		},
		"a long window lasts as long": {
			schedule: "0 22 28 3 *", zone: "Europe/Berlin", duration: 10 * time.Hour,
			closed: []string{"2026-03-28T20:59:00Z", "2026-03-29T07:00:00Z"},
			open:   []string{"2026-03-28T21:00:00Z", "2026-03-29T06:59:00Z"},
		},
		"half an hour": {
			schedule: "15 2 * * *", zone: "Australia/Lord_Howe", duration: 15 * time.Minute,
			closed: []string{"2026-10-03T15:29:00Z", "2026-10-03T15:45:00Z"},
			open:   []string{"2026-10-03T15:30:00Z", "2026-10-03T15:44:00Z"},
		},
		"a day that was left out": {
			schedule: "0 12 30 12 *", zone: "Pacific/Apia", duration: time.Hour,
			closed: []string{"2011-12-30T09:59:00Z"}, open: []string{"2011-12-30T10:00:00Z"},
		},
	} {
		windows := made(t, window.Spec{Kind: window.Allow, Schedule: test.schedule, TimeZone: test.zone, Duration: test.duration})
		for open, times := range map[bool][]string{false: test.closed, true: test.open} {
			for _, text := range times {
				if got := window.Judge(windows, "app", false, at(t, text)); got.Open != open {
					t.Errorf("%s: at %s: got open %v, want %v", name, text, got.Open, open)
				}
			}
		}
	}
}

// Around changes of clocks, a window is open exactly where going back minute by
// minute finds a start, and opens at the first such minute.
func TestWindowsAgainstTheClock(t *testing.T) {
	t.Parallel()
	zones := []string{"America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kathmandu", ""}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test
	for range 400 {
		zone := zones[random.IntN(len(zones))]
		location, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		hour, minute, weekday := random.IntN(4), random.IntN(60), random.IntN(9)
		schedule := fmt.Sprintf("%d %d * * ", minute, hour)
		if weekday < 7 {
			schedule += fmt.Sprint(weekday)
		} else {
			weekday = -1
			schedule += "*"
		}
		duration := time.Duration(1+random.IntN(300)) * time.Minute
		now := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(random.IntN(366*24*60)) * time.Minute)
		if _, change := now.In(location).ZoneBounds(); !change.IsZero() && random.IntN(3) > 0 {
			now = change.Truncate(time.Minute).Add(time.Duration(random.IntN(12*60)-6*60) * time.Minute)
		}
		fires := func(t time.Time) bool { return firesAt(t.In(location), hour, minute, weekday) }
		open := false
		for back := time.Duration(0); back < duration && !open; back += time.Minute {
			open = fires(now.Add(-back))
		}
		next := now
		for !open && !fires(next) {
			next = next.Add(time.Minute)
		}
		windows := made(t, window.Spec{Kind: window.Allow, Schedule: schedule, TimeZone: zone, Duration: duration})
		got := window.Judge(windows, "app", false, now)
		if got.Open != open || !open && !got.Next.Equal(next) {
			t.Errorf("%q in %q for %s at %s: got open %v, next %s; want %v, %s", schedule, zone, duration, now, got.Open, got.Next.UTC(), open, next)
		}
		if !got.Open && !window.Judge(windows, "app", false, got.Next).Open {
			t.Errorf("%q in %q for %s: not open at %s, when it was to be", schedule, zone, duration, got.Next)
		}
	}
}

// firesAt says whether a schedule fires at a minute: the clock shows it, or
// skipped it just now.
func firesAt(t time.Time, hour, minute, weekday int) bool {
	shows := func(t time.Time) bool {
		return t.Hour() == hour && t.Minute() == minute && (weekday < 0 || t.Weekday() == time.Weekday(weekday))
	}
	if shows(t) {
		return true
	}
	_, before := t.Add(-time.Minute).Zone()
	_, now := t.Zone()
	for skipped := before; skipped < now; skipped += 60 {
		if shows(t.UTC().Add(time.Duration(skipped) * time.Second)) {
			return true
		}
	}
	return false
}

func TestBadWindows(t *testing.T) {
	t.Parallel()
	good := window.Spec{Kind: window.Allow, Schedule: "0 22 * * *", Duration: time.Hour}
	for want, spoil := range map[string]func(*window.Spec){
		`kind: "alow" is neither`:           func(s *window.Spec) { s.Kind = "alow" },
		"duration: is required":             func(s *window.Spec) { s.Duration = 0 },
		`timeZone: "Mars/Base" is no`:       func(s *window.Spec) { s.TimeZone = "Mars/Base" },
		`schedule: "61 * * * *" is not`:     func(s *window.Spec) { s.Schedule = "61 * * * *" },
		`schedule: "@daily" is not`:         func(s *window.Spec) { s.Schedule = "@daily" },
		`schedule: "TZ=UTC" is not`:         func(s *window.Spec) { s.Schedule = "TZ=UTC" },
		`schedule: "0 0 31 2 *" never`:      func(s *window.Spec) { s.Schedule = "0 0 31 2 *" },
		`apps: "[" is no pattern`:           func(s *window.Spec) { s.Apps = []string{"["} },
		`schedule: "" is not five fields`:   func(s *window.Spec) { s.Schedule = "" },
		`schedule: "0 0 * * * *" is not fi`: func(s *window.Spec) { s.Schedule = "0 0 * * * *" },
	} {
		bad := good
		spoil(&bad)
		if _, err := window.New(bad); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%+v: got %v, want %s…", bad, err, want)
		}
	}
}
