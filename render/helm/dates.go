package helm

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"text/template"
	"time"
)

// dateFunctions are Sprig's functions of dates (https://masterminds.github.io/sprig/date.html)
// that look at the clock or the time zone of the machine, on a clock that
// stands still and in UTC.
func dateFunctions(now time.Time) template.FuncMap {
	now = now.UTC()
	inZone := func(layout string, date any, zone string) string {
		location := time.UTC
		if zone != "Local" {
			if found, err := time.LoadLocation(zone); err == nil {
				location = found
			}
		}
		return timeOf(date, now).In(location).Format(layout)
	}
	return template.FuncMap{
		"now":            func() time.Time { return now },
		"date":           func(layout string, date any) string { return inZone(layout, date, "UTC") },
		"dateInZone":     inZone,
		"date_in_zone":   inZone,
		"htmlDate":       func(date any) string { return inZone(time.DateOnly, date, "UTC") },
		"htmlDateInZone": func(date any, zone string) string { return inZone(time.DateOnly, date, zone) },
		"ago":            func(date any) string { return now.Sub(timeOf(date, now)).Round(time.Second).String() },
		"toDate": func(layout, text string) time.Time {
			t, _ := time.ParseInLocation(layout, text, time.UTC) // Sprig gives the zero time for what it cannot read
			return t
		},
		"mustToDate": func(layout, text string) (time.Time, error) {
			return time.ParseInLocation(layout, text, time.UTC)
		},
	}
}

// timeOf reads a date as Sprig does: a time, or seconds since 1970; anything
// else is now.
func timeOf(date any, now time.Time) time.Time {
	switch d := date.(type) {
	case time.Time:
		return d
	case *time.Time:
		return *d
	case int64:
		return time.Unix(d, 0)
	case int:
		return time.Unix(int64(d), 0)
	case int32:
		return time.Unix(int64(d), 0)
	default:
		return now
	}
}

// durationFunctions are Helm 4's functions of durations. Those without "must"
// give 0 for what is no duration.
func durationFunctions() template.FuncMap {
	f := template.FuncMap{
		"mustToDuration": asDuration,
		"durationRoundTo": func(v, to any) time.Duration {
			return adjust(v, to, time.Duration.Round)
		},
		"durationTruncateTo": func(v, to any) time.Duration {
			return adjust(v, to, time.Duration.Truncate)
		},
	}
	for name, whole := range map[string]func(time.Duration) int64{
		"durationMilliseconds": time.Duration.Milliseconds,
		"durationMicroseconds": time.Duration.Microseconds,
		"durationNanoseconds":  time.Duration.Nanoseconds,
	} {
		f[name] = func(v any) int64 { return whole(lenientDuration(v)) }
	}
	for name, part := range map[string]func(time.Duration) float64{
		"durationSeconds": time.Duration.Seconds,
		"durationMinutes": time.Duration.Minutes,
		"durationHours":   time.Duration.Hours,
		"durationDays":    func(d time.Duration) float64 { return d.Hours() / 24 },
		"durationWeeks":   func(d time.Duration) float64 { return d.Hours() / 24 / 7 },
	} {
		f[name] = func(v any) float64 { return part(lenientDuration(v)) }
	}
	return f
}

func lenientDuration(v any) time.Duration {
	d, err := asDuration(v)
	if err != nil {
		return 0
	}
	return d
}

func adjust(v, to any, by func(time.Duration, time.Duration) time.Duration) time.Duration {
	d := lenientDuration(v)
	unit, err := asDuration(to)
	if err != nil {
		return d
	}
	return by(d, unit)
}

// asDuration reads a duration: text as time.ParseDuration has it, or a number
// of seconds.
func asDuration(v any) (time.Duration, error) {
	switch d := v.(type) {
	case time.Duration:
		return d, nil
	case string:
		text := strings.TrimSpace(d)
		if parsed, err := time.ParseDuration(text); err == nil {
			return parsed, nil
		}
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return 0, fmt.Errorf("%q is no duration", d)
		}
		return ofSeconds(seconds)
	case nil:
		return 0, errors.New("no duration is given")
	}
	switch number := reflect.ValueOf(v); {
	case number.CanInt():
		return ofWholeSeconds(number.Int())
	case number.CanUint():
		return ofSeconds(float64(number.Uint()))
	case number.CanFloat():
		return ofSeconds(number.Float())
	default:
		return 0, fmt.Errorf("a %T is no duration", v)
	}
}

var errTooLong = errors.New("the duration is too long")

func ofWholeSeconds(seconds int64) (time.Duration, error) {
	if limit := math.MaxInt64 / int64(time.Second); seconds > limit || seconds < -limit {
		return 0, errTooLong
	}
	return time.Duration(seconds) * time.Second, nil
}

func ofSeconds(seconds float64) (time.Duration, error) {
	nanoseconds := seconds * float64(time.Second)
	if math.IsNaN(nanoseconds) || math.Abs(nanoseconds) >= math.MaxInt64 {
		return 0, errTooLong
	}
	return time.Duration(nanoseconds), nil
}
