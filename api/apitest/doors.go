package apitest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"flotilla/api"
	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/leader"
	"flotilla/units"
)

// users shows the API the store, as the daemon does.
type users struct{ *store.Store }

// EditUnits changes unit heads.
func (u users) EditUnits(ctx context.Context, names []cluster.Unit, edit func(int, *cluster.UnitHead) (api.Edit, error)) []api.Outcome {
	results := u.Store.EditUnits(ctx, names, func(i int, old *cluster.UnitSpec, rev int64) (store.Edit, error) {
		var head *cluster.UnitHead
		if old != nil {
			head = &cluster.UnitHead{Name: names[i], Spec: *old, Rev: rev}
		}
		e, err := edit(i, head)
		if err != nil || e.Keep {
			return store.Edit{}, err
		}
		return store.Edit{Spec: e.Spec, Raw: e.Blob, Bundle: e.Bundle, Delete: e.Spec == nil, By: e.By}, nil
	})
	out := make([]api.Outcome, len(results))
	for i, r := range results {
		out[i] = api.Outcome{Revision: r.Rev, Err: r.Err}
	}
	return out
}

// EditHost changes what the operator says of a host.
func (u users) EditHost(ctx context.Context, id cluster.HostID, ifMatch int64, edit func(*cluster.HostSpec) error) (int64, error) {
	_, rev, err := u.EditHostSpec(ctx, id, ifMatch, edit)
	return rev, err
}

// Blob reads one content.
func (u users) Blob(ctx context.Context, h units.Hash) ([]byte, error) {
	blobs, err := u.Blobs(ctx, []units.Hash{h})
	return blobs[h], err
}

// ResumeFailover lets go of the storm brake.
func (u users) ResumeFailover(ctx context.Context, by cluster.Note) error {
	_, err := u.Store.ResumeFailover(ctx, by)
	return err
}

// AcceptStore accepts.
func (u users) AcceptStore(ctx context.Context, by cluster.Note) (string, error) {
	_, err := u.Store.AcceptStore(ctx, cluster.Acceptance{Old: "old", By: by})
	return "hosts that know store old now follow this one; nothing was stopped", err
}

// UseGrant commits a host to reboot, on its behalf.
func (u users) UseGrant(ctx context.Context, id cluster.HostID, alive int64, g cluster.Granting) error {
	return u.Store.UseGrant(ctx, store.Lease{Host: id, AliveRev: alive}, g, g.Boot)
}

// RefuseGrant takes that back.
func (u users) RefuseGrant(ctx context.Context, id cluster.HostID, alive int64, g cluster.Granting, why string) error {
	return u.Store.RefuseGrant(ctx, store.Lease{Host: id, AliveRev: alive}, g, g.Boot, why)
}

func classify(err error) (int, string) {
	switch {
	case errors.Is(err, store.ErrConflict):
		return http.StatusConflict, "read it again and repeat"
	case errors.Is(err, store.ErrNotFound):
		return http.StatusNotFound, "flotilla status shows what there is"
	case errors.Is(err, store.ErrTooLarge):
		return http.StatusRequestEntityTooLarge, "send less at once"
	case errors.Is(err, store.ErrReadOnly), errors.Is(err, store.ErrForeignStore):
		return http.StatusServiceUnavailable, "mend the store"
	case errors.Is(err, store.ErrAmbiguous):
		return http.StatusGatewayTimeout, "it may have happened: look, then repeat"
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable, ""
	}
	return http.StatusInternalServerError, ""
}

// tokens mints the same token each time.
type tokens struct{}

// NewToken is not good anywhere.
func (tokens) NewToken(_ context.Context, ttl time.Duration) (api.Token, error) {
	return api.Token{Token: "fl1-secret", Address: "10.0.0.1:7117", Expires: ttl.String()}, nil
}

// logs is a journal that has as many lines of any unit as are asked for.
func logs(host string) api.Logs {
	return func(ctx context.Context, unit string, lines int, follow bool, emit func(api.LogEntry) error) error {
		for i := range lines {
			at := time.Unix(int64(1000+i), 0)
			if err := emit(api.LogEntry{Time: at, Host: host, Unit: unit, PID: 1, Priority: 6, Message: fmt.Sprintf("line %d", i+1)}); err != nil {
				return err
			}
		}
		if follow {
			<-ctx.Done()
		}
		return nil
	}
}

// throne shows the leader loop the store.
type throne struct {
	*store.Store
	me cluster.LeaderInfo
}

// Campaign blocks until this candidate is elected.
func (t throne) Campaign(ctx context.Context) (leader.Leadership, error) {
	l, err := t.Store.Campaign(ctx, t.me, cluster.DefaultTiming().LeaderTTL())
	if err != nil {
		return leader.Leadership{}, err
	}
	return leader.Leadership{Term: l.Term, Ctx: l.Ctx(), Resign: l.Resign}, nil
}

// Apply writes orders.
func (t throne) Apply(ctx context.Context, term cluster.Term, orders []cluster.Orders) (int64, []error) {
	rev, errs := t.Store.Apply(ctx, term, orders)
	for i, err := range errs {
		if errors.Is(err, store.ErrStale) {
			errs[i] = fmt.Errorf("%w: %w", leader.ErrStale, err)
		}
	}
	return rev, errs
}

// Check lets all versions write.
func (throne) Check(string, map[cluster.HostID]string) error { return nil }

// Collect keeps all contents.
func (throne) Collect(context.Context, cluster.Term) (int, error) { return 0, nil }

// agent says that it did as ordered.
type agent struct {
	store *store.Store
	host  *Host
	lease store.Lease
	said  map[cluster.Unit]cluster.Status
	wg    sync.WaitGroup

	mu     sync.Mutex
	boot   int
	report cluster.RebootReport
	way    string
	unwell string // why all checks are red; "" = they are as way says
}

// bootID names a run of a host.
func bootID(n int) string { return fmt.Sprintf("boot-%d", n) }

func (a *agent) begin(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.rise(ctx)
}

// rise begins a life with another boot. The caller holds mu.
func (a *agent) rise(ctx context.Context) error {
	a.boot++
	var err error
	a.lease, err = a.store.Announce(ctx, a.host.ID, cluster.Alive{Address: a.host.Address, Boot: bootID(a.boot), Nonce: a.host.Name, Version: Version}, store.Lease{})
	if err != nil {
		return err
	}
	clear(a.said)
	return a.tell(ctx)
}

// tell reports the host. The caller holds mu.
func (a *agent) tell(ctx context.Context) error {
	info := a.info()
	return a.store.Report(ctx, a.lease, &info, nil, nil)
}

func (a *agent) info() cluster.HostInfo {
	report := a.report
	return cluster.HostInfo{
		Boot: bootID(a.boot), Reboot: &report, Name: a.host.Name, Address: a.host.Address, Version: Version, OS: "Debian", Systemd: 257,
		Runtimes: map[string]string{"docker": "26.1", "podman": "5.4"}, CPUs: 8, Memory: 16 << 30,
		Labels: map[string]string{"host": a.host.Name},
	}
}

func (a *agent) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer a.wg.Wait()
	defer cancel()
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for ctx.Err() == nil {
			a.mu.Lock()
			lease := a.lease
			a.mu.Unlock()
			_, _ = a.store.Renew(ctx, lease) // the store is away in some tests
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	}()
	for ctx.Err() == nil {
		_ = a.store.FollowView(ctx, a.host.ID, func(v cluster.View) { a.obey(ctx, v) })
		again := time.NewTimer(20 * time.Millisecond) // the store is away: there is nothing to wait on
		select {
		case <-again.C:
		case <-ctx.Done():
		}
		again.Stop()
	}
	return nil
}

// obey reports what differs from what was said before; what could not be said, the next
// view brings again.
func (a *agent) obey(ctx context.Context, v cluster.View) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.attend(ctx, v.Grant)
	put := map[cluster.Unit]cluster.Status{}
	var del []cluster.Unit
	for name, p := range v.Place {
		if strings.HasPrefix(string(name), "mute") {
			continue
		}
		st, was := obeyed(name, p, bootID(a.boot)), a.said[name]
		if was.Generation != st.Generation || was.Invocation != st.Invocation || was.Order != st.Order {
			put[name] = st
		}
	}
	for name := range a.said {
		if _, ok := v.Place[name]; !ok {
			del = append(del, name)
		}
	}
	if len(put)+len(del) == 0 || a.store.Report(ctx, a.lease, nil, put, del) != nil {
		return
	}
	maps.Copy(a.said, put)
	lease := a.lease
	a.wg.Go(func() { a.fall(ctx, lease, put) })
	for _, name := range del {
		delete(a.said, name)
	}
}

// moment is how long what runs only for a moment runs.
const moment = 100 * time.Millisecond

// fall reports what became of the units that run only for a moment.
func (a *agent) fall(ctx context.Context, lease store.Lease, of map[cluster.Unit]cluster.Status) {
	later := map[cluster.Unit]cluster.Status{}
	for name, st := range of {
		if fell(name, &st) && st.Order == cluster.Launched {
			later[name] = st
		}
	}
	if len(later) == 0 {
		return
	}
	t := time.NewTimer(moment)
	defer t.Stop()
	select {
	case <-t.C:
		_ = a.store.Report(ctx, lease, nil, later, nil) // a test that needs it waits for it
	case <-ctx.Done():
	}
}

// fell makes of a running unit what it is a moment later.
func fell(name cluster.Unit, st *cluster.Status) bool {
	switch n := string(name); {
	case strings.HasPrefix(n, "brief"):
		st.State = units.State{Load: "loaded", Active: "failed", Sub: "failed", Result: "exit-code"}
		st.Message = "exit status 125"
	case strings.HasPrefix(n, "loop"):
		st.State = units.State{Load: "loaded", Active: "activating", Sub: "auto-restart", Result: "exit-code"}
		st.Message, st.Restarts = cluster.Restarting+"exit status 3", 1
	case strings.HasPrefix(n, "shaky"):
		st.Restarts = 1
	case strings.HasPrefix(n, "over"):
		st.State = units.State{Load: "loaded", Active: "inactive", Sub: "dead", Result: "success"}
		st.Message = "ended"
	default:
		return false
	}
	return true
}

func obeyed(name cluster.Unit, p cluster.Placement, boot string) cluster.Status {
	st := cluster.Status{Generation: p.Generation, Order: p.State, Blob: p.Blob, DropIns: p.DropIns, Boot: boot, State: units.State{Load: "loaded", Active: "inactive", Sub: "dead", Result: "success"}}
	if p.State != cluster.Launched {
		return st
	}
	st.Invocation, st.Since = fmt.Sprintf("%d.%d", p.Run, p.Restart), time.Now()
	switch {
	case strings.HasPrefix(string(name), "bad"), strings.HasPrefix(string(name), "quiet"):
		st.State = units.State{Load: "loaded", Active: "failed", Sub: "failed", Result: "exit-code"}
		st.Message = "exit status 3"
		if strings.HasPrefix(string(name), "bad") {
			st.Tail = []string{"cannot open the ledger"}
		}
	case strings.HasPrefix(string(name), "foreign"):
		st.State = units.State{Load: "not-found", Active: "inactive", Sub: "dead"}
		st.Refused, st.Message = true, "name belongs to the host: /usr/lib/systemd/system/"+string(name)
	case strings.HasPrefix(string(name), "slow"):
		st.State.Active, st.State.Sub = "activating", "start-pre"
	default:
		st.State.Active, st.State.Sub = "active", "running"
	}
	return st
}

// Reboots has a host's agent say that of reboots.
func (c *Cluster) Reboots(ctx context.Context, h *Host, r cluster.RebootReport) error {
	h.agent.mu.Lock()
	defer h.agent.mu.Unlock()
	h.agent.report = r
	return h.agent.tell(ctx)
}

// Order writes as the leader would: a grant, a record of the history.
func (c *Cluster) Order(ctx context.Context, o cluster.Orders) error {
	_, term, err := c.Store.Leader(ctx)
	if err != nil {
		return err
	}
	_, errs := c.Store.Apply(ctx, term, []cluster.Orders{o})
	return errs[0]
}

// Stop ends a host's agent's sign of life: the host is absent.
func (c *Cluster) Stop(ctx context.Context, h *Host) error {
	h.agent.mu.Lock()
	defer h.agent.mu.Unlock()
	return c.Store.Withdraw(ctx, h.agent.lease)
}
