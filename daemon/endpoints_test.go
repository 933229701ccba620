package daemon

import (
	"testing"
	"time"
)

// TestEndpointsWait: thousands of hosts that ask each minute are a load on an idle cluster.
func TestEndpointsWait(t *testing.T) {
	for _, c := range []struct {
		last            time.Duration
		changed, member bool
		jitter          float64
		want            time.Duration
	}{
		{0, false, false, 0.5, time.Minute},
		{time.Minute, false, false, 0.5, 2 * time.Minute},
		{8 * time.Minute, false, false, 0, 10 * time.Minute},
		{10 * time.Minute, false, false, 1, 30 * time.Minute},
		{30 * time.Minute, false, false, 0.5, 20 * time.Minute},
		{30 * time.Minute, true, false, 0.5, time.Minute},
		{time.Minute, false, true, 0.5, time.Minute},
	} {
		if got := endpointsWait(c.last, c.changed, c.member, c.jitter); got != c.want {
			t.Errorf("endpointsWait(%s, changed %v, member %v, %v) = %s, want %s", c.last, c.changed, c.member, c.jitter, got, c.want)
		}
	}
}
