package agent

import (
	"bytes"
	"testing"
	"time"

	"flotilla/cluster"
)

func TestDropIn(t *testing.T) {
	tests := []struct {
		name string
		unit cluster.Unit
		p    cluster.Placement
		want string
	}{
		{
			"plain", "web.service",
			cluster.Placement{Generation: 7, Blob: "abc"},
			"# flotilla: generation=7 blob=abc\n[Service]\nEnvironment=FLOTILLA_HOST=h FLOTILLA_UNIT=web.service\n",
		},
		{
			"escaped name and stop deadline", `a\x2db.service`,
			cluster.Placement{Generation: 7, Blob: "abc", StopWithin: 90 * time.Second},
			"# flotilla: generation=7 blob=abc\n[Service]\nEnvironment=FLOTILLA_HOST=h FLOTILLA_UNIT=a\\\\x2db.service\nTimeoutStopSec=90000ms\n",
		},
		{"timer", "web.timer", cluster.Placement{Generation: 7, Blob: "abc"}, "# flotilla: generation=7 blob=abc\n"},
		{
			"fenced", "web.service",
			cluster.Placement{Generation: 7, Blob: "abc", Fence: true, StopWithin: time.Minute},
			"# flotilla: generation=7 blob=abc\n[Unit]\nRequisite=flotilla-fence.target\nPartOf=flotilla-fence.target\nAfter=flotilla-fence.target\n" +
				"[Service]\nEnvironment=FLOTILLA_HOST=h FLOTILLA_UNIT=web.service\nEnvironment=FLOTILLA_FENCE=7\nSendSIGKILL=yes\nTimeoutStopSec=3000ms\n",
		},
	}
	for _, tt := range tests {
		got := DropIn("h", tt.unit, tt.p, 3*time.Second)
		if string(got) != tt.want {
			t.Errorf("%s: DropIn = %q, want %q", tt.name, got, tt.want)
		}
		if fencedDropIn(got) != tt.p.Fence {
			t.Errorf("%s: fencedDropIn = %v, want %v", tt.name, !tt.p.Fence, tt.p.Fence)
		}
	}
}

func TestGenerationAloneChangesNothingThatSystemdReads(t *testing.T) {
	p, q := cluster.Placement{Generation: 7, Blob: "abc"}, cluster.Placement{Generation: 8, Blob: "abc"}
	same := func() bool {
		return bytes.Equal(dropInBody(DropIn("h", "a.service", p, 0)), dropInBody(DropIn("h", "a.service", q, 0)))
	}
	if !same() {
		t.Error("a new generation of an unfenced unit changes the drop-in")
	}
	p.Fence, q.Fence = true, true
	if same() {
		t.Error("a new generation of a fenced unit does not reach its token")
	}
}
