package load

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"

	"flotilla/api"
	"flotilla/cluster"
)

// again is how long a lost watch rests before the next daemon is asked.
const again = 100 * time.Millisecond

// Endpoints are the addresses where a family of units can be reached now, as a router knows them: by
// watches of the API, and by nothing else.
type Endpoints struct {
	port func(unit string) string

	mu      sync.Mutex
	units   map[string]api.Unit
	leaving map[string]bool // hosts that are about to reboot, or are at it
	list    []string
}

// Follow keeps endpoints of the named units up to date until ctx ends. Of the daemons one is asked at a
// time, the next one when it answers no more; until that one speaks what was known last holds. Port says
// where a unit of that name listens on its host.
func Follow(ctx context.Context, daemons []*api.Client, names []string, port func(unit string) string) *Endpoints {
	e := &Endpoints{port: port, units: map[string]api.Unit{}, leaving: map[string]bool{}}
	go watch(ctx, daemons, func(d *api.Client) error { return d.WatchUnits(ctx, names, 0, e.hearUnit) })
	go watch(ctx, daemons, func(d *api.Client) error { return d.WatchReboots(ctx, 0, e.hearReboot) })
	return e
}

// watch asks one daemon after another until ctx ends.
func watch(ctx context.Context, daemons []*api.Client, ask func(*api.Client) error) {
	rest := time.NewTimer(0)
	defer rest.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-rest.C:
		}
		_ = ask(daemons[n%len(daemons)]) // why it ended is of no use: another daemon is asked in any case
		rest.Reset(again)
	}
}

// List is where requests may go now, sorted.
func (e *Endpoints) List() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.list
}

func (e *Endpoints) hearUnit(u api.Unit) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.units[u.Name] = u
	e.choose()
	return nil
}

func (e *Endpoints) hearReboot(l api.RebootLine) error {
	if l.Host == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.leaving[string(l.Host.Host)] = leaves(l.Host.Phase)
	e.choose()
	return nil
}

// choose makes the list anew; one that was given out stays as it is. What is on a host that leaves is only
// taken while there is nothing else. The caller holds the lock.
func (e *Endpoints) choose() {
	var stay, leave []string
	for name, u := range e.units {
		for _, i := range u.Instances {
			host, _, err := net.SplitHostPort(i.Address) // of its daemon
			if err != nil || !serves(i) {
				continue
			}
			at := net.JoinHostPort(host, e.port(name))
			if e.leaving[i.Host] {
				leave = append(leave, at)
			} else {
				stay = append(stay, at)
			}
		}
	}
	e.list = stay
	if len(stay) == 0 {
		e.list = leave
	}
	slices.Sort(e.list)
}

// serves says whether a copy of a unit may be sent requests: it is up, its host's word can be believed, and
// nobody has ordered it to end.
func serves(i api.Instance) bool {
	return i.Order == "launched" && i.Active == "active" && !i.Orphan
}

// leaves says whether a host in this phase is about to reboot, or is at it.
func leaves(p cluster.Phase) bool { return p >= cluster.PhaseDraining && p <= cluster.PhaseOverdue }
