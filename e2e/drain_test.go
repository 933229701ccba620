//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"flotilla/api"
	"flotilla/e2e/testbed"
)

// TestDrain: a host that is cordoned takes nothing, one that is drained gives away what can move, each unit in its way:
// a family that starts first is never one short, a fenced unit is never two, what stays is not touched. Uncordoned it
// takes units again.
func TestDrain(t *testing.T) {
	ctx := scenario(t)
	if err := bed.PrepareWitness(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { flotilla(t, context.Background(), "uncordon", "--all") })
	last := bed.Hosts[2].Name()
	submit(t, ctx, map[string]string{
		"early@.service": testbed.BeatUnit("", "[X-Flotilla]\nHandover=start-first\n"),
		"lock.service":   testbed.BeatUnit("", "[X-Flotilla]\nFence=yes\n"),
		"data.service":   testbed.BeatUnit("", "[X-Flotilla]\nDrain=stay\n"),
		"every.service":  testbed.BeatUnit("", "[X-Flotilla]\nGlobal=yes\n"),
		"new.service":    testbed.BeatUnit("", ""),
	})
	flotilla(t, ctx, "cordon", bed.Hosts[0].Name(), bed.Hosts[1].Name(), "--reason", "all else goes elsewhere")
	flotilla(t, ctx, "start", "lock", "data")
	before := running(t, ctx, bed.Hosts[0], "lock*", "data*")
	for name, i := range before {
		if i.HostName != last {
			t.Errorf("%s is on %s, and only %s is not cordoned", name, i.HostName, last)
		}
	}
	flotilla(t, ctx, "uncordon", "--all")
	flotilla(t, ctx, "start", "every", "early@{1..6}")

	foretold := flotilla(t, ctx, "drain", last, "--dry-run", "--no-legend")
	for _, want := range []string{"lock.service", "stop-first", "start-first", "data.service", "every.service", "stays"} {
		if !strings.Contains(foretold, want) {
			t.Errorf("drain --dry-run = %q, want a word on %s", foretold, want)
		}
	}
	moving := drainedOnce(t, ctx, last)
	if n := strings.Count(foretold, "-first "); n != len(moving) {
		t.Errorf("the plan has %d units that move, and %v have moved", n, moving)
	}
	left := hostNamed(t, ctx, last)
	if left.Drain == nil || left.Drain.By.Why != "new disk" || left.Draining == nil || len(left.Draining.Left) != 0 || len(left.Draining.Stays) != 2 {
		t.Errorf("%s is shown as drained %+v with %+v", last, left.Drain, left.Draining)
	}
	flotilla(t, ctx, "start", "new")
	after := running(t, ctx, bed.Hosts[0])
	if on := after["new.service"].HostName; on == last {
		t.Errorf("new.service came to %s, which is drained", on)
	}
	untouched(t, map[string]api.Instance{"data.service": before["data.service"]}, after)
	flotilla(t, ctx, "uncordon", last)
	flotilla(t, ctx, "destroy", "new")
	flotilla(t, ctx, "cordon", bed.Hosts[0].Name(), bed.Hosts[1].Name())
	submit(t, ctx, map[string]string{"new.service": testbed.BeatUnit("", "")})
	flotilla(t, ctx, "start", "new")
	if on := running(t, ctx, bed.Hosts[0], "new*")["new.service"].HostName; on != last {
		t.Errorf("new.service is on %s, and only %s takes units again", on, last)
	}
	movedOnce(t, moving)
}

// drainedOnce drains a host and returns the units that left it.
func drainedOnce(t *testing.T, ctx context.Context, host string) (moving []string) {
	t.Helper()
	before := running(t, ctx, bed.Hosts[0], "early@*", "lock*")
	out := flotilla(t, ctx, "drain", host, "--reason", "new disk")
	if want := host + ": drained: "; !strings.HasPrefix(out, want) {
		t.Errorf("drain = %q, want %q", out, want)
	}
	now := running(t, ctx, bed.Hosts[0], "early@*", "lock*")
	for name, i := range before {
		switch {
		case now[name].HostName == host:
			t.Errorf("%s is on %s still", name, host)
		case i.HostName == host:
			moving = append(moving, name)
		case now[name].Invocation != i.Invocation:
			t.Errorf("%s was touched on %s, which is not drained", name, i.HostName)
		}
	}
	if len(moving) != 3 {
		t.Errorf("%v left %s, want two of the family and the fenced one", moving, host)
	}
	demandOnce(t, ctx, now)
	return moving
}

// movedOnce demands that each of the units moved once, in its way, and that nothing else was run twice.
func movedOnce(t *testing.T, moving []string) {
	t.Helper()
	for _, name := range moving {
		runs, err := bed.Runs(name)
		if err != nil {
			t.Fatal(err)
		}
		gaps, most := testbed.Gaps(runs), testbed.Most(runs)
		t.Logf("%s: %d runs, %d gaps, %d at once, overlap %s", name, len(runs), len(gaps), most, testbed.Overlap(runs))
		switch first := name != "lock.service"; {
		case len(runs) != 2:
			t.Errorf("%s ran %d times, want a single move: %v", name, len(runs), runs)
		case first && (len(gaps) > 0 || most != 2):
			t.Errorf("%s starts first, and had gaps %v and %d copies at once", name, gaps, most)
		case !first && (len(gaps) != 1 || most != 1):
			t.Errorf("%s is fenced, and had gaps %v and %d copies at once", name, gaps, most)
		}
	}
	for _, name := range []string{"data.service", "every.service"} {
		runs, err := bed.Runs(name)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]int{"data.service": 1, "every.service": len(bed.Hosts)}[name]
		if len(runs) != want {
			t.Errorf("%s ran %d times, want %d: it stays", name, len(runs), want)
		}
	}
}

// hostNamed is a host as the API shows it.
func hostNamed(t *testing.T, ctx context.Context, name string) api.Host {
	t.Helper()
	c, err := testbed.Client(bed.Hosts[0])
	if err != nil {
		t.Fatal(err)
	}
	h, err := c.Host(ctx, name)
	if err != nil {
		t.Fatal(fmt.Errorf("look at %s: %w", name, err))
	}
	return h
}
