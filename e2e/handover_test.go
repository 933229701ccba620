//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"flotilla/e2e/testbed"
)

// TestHandover: units leave a host that lives, some by rebalance, some by a label. Those that start first
// leave no gap and are two for a moment; those that stop first are never two.
func TestHandover(t *testing.T) {
	ctx := scenario(t)
	if err := bed.PrepareWitness(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { labelAll(t, context.Background(), "full-", "full-", "full-") })
	labelAll(t, ctx, "full=yes", "full=yes", "")
	submit(t, ctx, map[string]string{
		"early@.service": testbed.BeatUnit("", "[X-Flotilla]\nMachineMetadata=!full\nHandover=start-first\n"),
		"late@.service":  testbed.BeatUnit("", "[X-Flotilla]\nMachineMetadata=!full\n"),
	})
	flotilla(t, ctx, "start", "early@{1..3}", "late@{1..3}")
	before := running(t, ctx, bed.Hosts[0])
	labelAll(t, ctx, "full-", "full-", "")

	planned := flotilla(t, ctx, "rebalance", "--dry-run", "--no-legend")
	if froms := column(planned, 1); len(froms) != 4 || strings.Count(strings.Join(froms, " "), bed.Hosts[2].Name()) != 4 {
		t.Errorf("rebalance --dry-run = %q, want four moves off the only host that has units", planned)
	}
	untouched(t, before, running(t, ctx, bed.Hosts[0]))
	if one := flotilla(t, ctx, "rebalance", "--max-moves=1", "--no-legend"); strings.Count(one, " moved to ") != 1 {
		t.Errorf("rebalance --max-moves=1 = %q, want one move", one)
	}
	flotilla(t, ctx, "rebalance")
	if out := flotilla(t, ctx, "rebalance"); !strings.HasPrefix(out, "nothing to move") {
		t.Errorf("rebalance of what is even = %q, want nothing to move", out)
	}
	perHost := map[string]int{}
	for _, i := range running(t, ctx, bed.Hosts[0]) {
		perHost[i.HostName]++
	}
	for _, h := range bed.Hosts {
		if perHost[h.Name()] != 2 {
			t.Errorf("after rebalance units are on %v, want two on each host", perHost)
		}
	}
	labelAll(t, ctx, "", "", "full=yes")
	left(t, ctx)
	handedOver(t)
}

// left waits until no unit is on the last host.
func left(t *testing.T, ctx context.Context) {
	t.Helper()
	awaitThat(t, ctx, "all units have left "+bed.Hosts[2].Name(), func(ctx context.Context) error {
		now, err := testbed.Running(ctx, bed.Hosts[0])
		for name, i := range now {
			if i.Host == bed.Hosts[2].MachineID() {
				return fmt.Errorf("%s is there", name)
			}
		}
		return err
	})
	demandOnce(t, ctx, running(t, ctx, bed.Hosts[0]))
}

// handedOver demands that each unit moved once, in the way that it asks for.
func handedOver(t *testing.T) {
	t.Helper()
	for i := range 6 {
		name, first := fmt.Sprintf("late@%d.service", i-2), false
		if i < 3 {
			name, first = fmt.Sprintf("early@%d.service", i+1), true
		}
		runs, err := bed.Runs(name)
		if err != nil {
			t.Fatal(err)
		}
		gaps, most := testbed.Gaps(runs), testbed.Most(runs)
		t.Logf("%s: %d runs, %d gaps, %d at once, overlap %s", name, len(runs), len(gaps), most, testbed.Overlap(runs))
		switch {
		case len(runs) != 2:
			t.Errorf("%s ran %d times, want a single move: %v", name, len(runs), runs)
		case first && (len(gaps) > 0 || most != 2):
			t.Errorf("%s starts first, and had gaps %v and %d copies at once", name, gaps, most)
		case !first && (len(gaps) != 1 || most != 1):
			t.Errorf("%s stops first, and had gaps %v and %d copies at once", name, gaps, most)
		}
	}
}

// labelAll sets a label on each host; an empty one is none.
func labelAll(t *testing.T, ctx context.Context, labels ...string) {
	t.Helper()
	for i, label := range labels {
		if label != "" {
			flotilla(t, ctx, "host", "label", bed.Hosts[i].Name(), label)
		}
	}
}

// column are the words of a table in one of its columns.
func column(table string, n int) []string {
	var out []string
	for line := range strings.Lines(table) {
		if words := strings.Fields(line); len(words) > n {
			out = append(out, words[n])
		}
	}
	return out
}
