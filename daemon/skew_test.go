package daemon

import (
	"testing"
	"time"
)

// TestF16SkewOf: a clock that is more than five seconds off is told, to the second; the length of the question and the
// seconds of a Date are no skew.
func TestF16SkewOf(t *testing.T) {
	date := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		ahead, took time.Duration
		want        time.Duration
	}{
		{0, 0, 0},
		{900 * time.Millisecond, 10 * time.Millisecond, 0},
		{5 * time.Second, 0, 0},
		{6 * time.Second, 0, 6 * time.Second}, // at .5 of the leader's second
		{-6 * time.Second, 0, -6 * time.Second},
		{6 * time.Second, 4 * time.Second, 0}, // nobody knows when the leader answered
		{2 * time.Hour, 100 * time.Millisecond, 2 * time.Hour},
		{-2 * time.Hour, 100 * time.Millisecond, -2 * time.Hour},
	} {
		sent := date.Add(500*time.Millisecond + c.ahead - c.took/2)
		if got := skewOf(date, sent, sent.Add(c.took)); got != c.want {
			t.Errorf("skewOf(%s ahead, asked for %s) = %s, want %s", c.ahead, c.took, got, c.want)
		}
	}
}
