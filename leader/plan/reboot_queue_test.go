package plan_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flotilla/cluster"
	"flotilla/leader/plan"
)

// TestSlots: how many of a group's hosts begin, given its size, its max and how many are away already.
func TestSlots(t *testing.T) {
	for _, tt := range []struct {
		max         string
		hosts, away int
		want        int
	}{
		{"", 3, 0, 1},
		{"", 3, 1, 0},
		{"0", 3, 0, 0},
		{"2", 3, 0, 2},
		{"2", 3, 1, 1},
		{"2", 5, 3, 0},
		{"9", 3, 0, 3},
		{"0%", 10, 0, 0},
		{"10%", 10, 0, 1},
		{"10%", 10, 1, 0},
		{"25%", 10, 0, 2},
		{"25%", 3, 0, 1}, // at least one
		{"50%", 7, 1, 2},
		{"100%", 4, 0, 4},
	} {
		w := newWorld(t)
		for i := range tt.hosts {
			w.addHost(fmt.Sprint("h", i))
		}
		w.command("group all max=" + tt.max)
		for i := range tt.away {
			w.kill(fmt.Sprint("h", i))
		}
		for i := tt.away; i < tt.hosts; i++ {
			w.command(fmt.Sprint("wish h", i))
		}
		if got := began(w.plan()); len(got) != tt.want {
			t.Errorf("max %q of %d hosts, %d of them away: %d begin (%v), want %d", tt.max, tt.hosts, tt.away, len(got), got, tt.want)
		}
	}
}

// began are the hosts that a plan has begin.
func began(res plan.Result) (hosts []cluster.HostID) {
	for _, d := range res.Decisions {
		if d.Kind == plan.Grant && d.Orders.Grants[0].Grant.Phase == cluster.PhaseDraining {
			hosts = append(hosts, d.Host)
		}
	}
	return hosts
}

// TestRequestsTakeTurns: in one group hosts reboot in the order of the requests for them, whatever the order of
// names and whenever they were asked for, and hosts with a need alone after all of them.
func TestRequestsTakeTurns(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 3))
		w := newWorld(t)
		w.command("window always *-*-*_00:00 24h")
		w.command(fmt.Sprintf("group all max=%d windows=always", 1+r.IntN(3)))
		for i := range 9 {
			w.addHost(fmt.Sprint("h", i))
		}
		w.addHost("a")
		w.command("need a yes kernel")
		var want, got []string
		for _, i := range r.Perm(9) {
			want = append(want, fmt.Sprint("h", i))
			w.command(fmt.Sprint("wish h", i))
		}
		want = append(want, "a")
		for line := range strings.Lines(w.command("run 20m")) {
			if name, found := strings.CutSuffix(strings.TrimSpace(line), " draining: its units go elsewhere"); found {
				fields := strings.Fields(name)
				if name = fields[len(fields)-1]; !slices.Contains(got, name) {
					got = append(got, name)
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("seed %d: order of reboots (-want +got):\n%s", seed, diff)
		}
	}
}

// TestNobodyStarves: a host of two groups gets its turn although others of each group ask all the time, and the slots
// of the two groups are never free at the same moment.
func TestNobodyStarves(t *testing.T) {
	w := newWorld(t)
	w.command("group rack selector=rack=1 max=1")
	w.command("group web selector=role=web max=1")
	w.addHost("both", "rack=1", "role=web")
	for i := range 4 {
		w.addHost(fmt.Sprint("rack", i), "rack=1")
		w.addHost(fmt.Sprint("web", i), "role=web")
	}
	w.command("wish rack0")
	w.command("run 20s")
	w.command("wish web0")
	w.command("wish both")
	for i := range 40 {
		w.command(fmt.Sprint("wish rack", i%4))
		w.command(fmt.Sprint("wish web", i%4))
		w.command("run 15s")
		if h := w.snap.Hosts[hostID("both")]; h.Grant != nil {
			return
		}
	}
	t.Errorf("in ten minutes the host of two groups never had its turn:\n%s", w.reboots())
}
