package load

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"

	"flotilla/api"
)

// again is how long a lost watch rests before the next daemon is asked.
const again = 100 * time.Millisecond

// Endpoints are the addresses where a family of units can be reached now, as a router knows them: by a
// watch of the API, and by nothing else.
type Endpoints struct {
	mu   sync.Mutex
	list []string
}

// Follow keeps endpoints of the named units up to date until ctx ends. Of the daemons one is asked at a
// time, the next one when it answers no more; until that one speaks what was known last holds. Port says
// where a unit of that name listens on its host.
func Follow(ctx context.Context, daemons []*api.Client, names []string, port func(unit string) string) *Endpoints {
	e := &Endpoints{}
	go e.follow(ctx, daemons, names, port)
	return e
}

// List is where requests may go now, sorted.
func (e *Endpoints) List() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.list
}

func (e *Endpoints) follow(ctx context.Context, daemons []*api.Client, names []string, port func(unit string) string) {
	known := map[string]api.Unit{}
	rest := time.NewTimer(0)
	defer rest.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-rest.C:
		}
		// Why a watch ended is of no use here: another daemon is asked in any case.
		_ = daemons[n%len(daemons)].WatchUnits(ctx, names, 0, func(u api.Unit) error {
			known[u.Name] = u
			e.set(known, port)
			return nil
		})
		rest.Reset(again)
	}
}

// set makes the list anew; a list that was given out stays as it is.
func (e *Endpoints) set(known map[string]api.Unit, port func(unit string) string) {
	var list []string
	for name, u := range known {
		for _, i := range u.Instances {
			host, _, err := net.SplitHostPort(i.Address) // of its daemon
			if err == nil && serves(i) {
				list = append(list, net.JoinHostPort(host, port(name)))
			}
		}
	}
	slices.Sort(list)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = list
}

// serves says whether a copy of a unit may be sent requests: it is up, its host's word can be believed, and
// nobody has ordered it to end.
func serves(i api.Instance) bool {
	return i.Order == "launched" && i.Active == "active" && !i.Orphan
}
