package window

import (
	"slices"
	"time"
)

// farthest is how many days ahead a schedule is followed: 29 February may be
// eight years away.
const farthest = 9 * 366

// next gives the first start after a time.
func (w Window) next(after time.Time) (time.Time, bool) {
	today := after.In(w.zone)
	for day := -1; day < farthest; day++ { // a start that was skipped may belong to yesterday
		for _, start := range w.starts(today, day) {
			if start.After(after) {
				return start, true
			}
		}
	}
	return time.Time{}, false
}

// newest gives the last start at or before a time, if it is no older than the
// window is long.
func (w Window) newest(at time.Time) (time.Time, bool) {
	today := at.In(w.zone)
	for day := 1; day >= -int(w.Duration/(24*time.Hour))-3; day-- {
		for _, start := range slices.Backward(w.starts(today, day)) {
			if !start.After(at) {
				return start, at.Sub(start) < w.Duration
			}
		}
	}
	return time.Time{}, false
}

// starts gives all starts of the day that is so many days from today, in order.
func (w Window) starts(today time.Time, days int) []time.Time {
	year, month, day := time.Date(today.Year(), today.Month(), today.Day()+days, 0, 0, 0, 0, time.UTC).Date()
	if !w.matches(year, month, day) {
		return nil
	}
	var starts []time.Time
	for hour := range 24 {
		if w.schedule.Hour&(1<<hour) == 0 {
			continue
		}
		for minute := range 60 {
			if w.schedule.Minute&(1<<minute) != 0 {
				starts = append(starts, instants(time.Date(year, month, day, hour, minute, 0, 0, time.UTC), w.zone)...)
			}
		}
	}
	slices.SortFunc(starts, time.Time.Compare)
	return slices.CompactFunc(starts, time.Time.Equal)
}

// star marks a field of the parser that was written as *.
const star = 1 << 63

// matches says whether the schedule fires on a day. As cron has it, of a day of
// the month and a day of the week one is enough when both are given.
func (w Window) matches(year int, month time.Month, day int) bool {
	s := w.schedule
	if s.Month&(1<<month) == 0 {
		return false
	}
	weekday := time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Weekday()
	byMonth, byWeek := s.Dom&(1<<day) != 0, s.Dow&(1<<weekday) != 0
	if s.Dom&star != 0 || s.Dow&star != 0 {
		return byMonth && byWeek
	}
	return byMonth || byWeek
}

// instants gives when clocks of a zone show what wall shows in UTC: once, twice
// where clocks go back, and the end of the gap where they skip it.
func instants(wall time.Time, zone *time.Location) []time.Time {
	var found []time.Time
	var before time.Time
	for i, near := range []time.Duration{-26 * time.Hour, 0, 26 * time.Hour} {
		_, offset := wall.Add(near).In(zone).Zone()
		at := wall.Add(-time.Duration(offset) * time.Second).In(zone)
		if i == 0 {
			before = at
		}
		if _, holds := at.Zone(); holds == offset && !slices.ContainsFunc(found, at.Equal) {
			found = append(found, at)
		}
	}
	if found == nil {
		start, _ := before.ZoneBounds()
		found = append(found, start)
	}
	return found
}
