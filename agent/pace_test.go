package agent

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	const ms = time.Millisecond
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	tests := []struct {
		name  string
		work  time.Duration
		every time.Duration // between the end of a rest and the next pass
		count int
		want  time.Duration // the last rest
	}{
		{"small passes in a row", ms, 0, 40, 0},
		{"large passes in a row", 10 * ms, 0, 40, 80 * ms},
		{"huge passes", time.Second, 0, 40, 250 * ms},
		{"large passes now and then", 25 * ms, time.Second, 40, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p pace
			at, got := now, time.Duration(0)
			for range tt.count {
				at = at.Add(tt.every + tt.work)
				got = p.rest(tt.work, at)
				at = at.Add(got)
			}
			if diff := (got - tt.want).Abs(); diff > 12*ms {
				t.Errorf("rest after %d passes of %s = %s, want about %s", tt.count, tt.work, got, tt.want)
			}
		})
	}
}
