package sim

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestClock sets a clock ahead and back: the wall clock jumps, and what passed is told rightly all the same.
func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock{booted: time.Now()}
		first, truly := c.now(), time.Now()
		if !first.Equal(truly) || first.Format(time.RFC3339Nano) != truly.Format(time.RFC3339Nano) {
			t.Errorf("now() = %s, want %s", first, truly)
		}
		for _, ahead := range []time.Duration{2 * time.Hour, -2 * time.Hour, 0} {
			c.set(ahead)
			time.Sleep(1500 * time.Millisecond)
			now, truly := c.now(), time.Now()
			if got := now.Sub(first); got != truly.Sub(first.Round(0)) {
				t.Errorf("%s ahead: passed %s since the first reading, want %s", ahead, got, truly.Sub(first.Round(0)))
			}
			if got := now.Round(0).Sub(truly); got != ahead {
				t.Errorf("%s ahead: the wall clock goes %s ahead", ahead, got)
			}
			if !first.Add(time.Second).Before(now) {
				t.Errorf("%s ahead: a deadline that has passed is not over", ahead)
			}
		}
	})
}
