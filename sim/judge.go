package sim

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/units"
)

// Judge watches a simulated cluster from above: every commit of the store and every event of
// every systemd, at the moment it happens. It knows what is true on the hosts, whatever
// agents report, and notes each broken promise with the trace that led to it.
type Judge struct {
	mu       sync.Mutex
	began    time.Time
	timing   cluster.Timing
	rules    rules
	machines []*truth
	hosts    map[cluster.HostID]*facts
	heads    map[cluster.Unit]*head
	blobs    map[units.Hash][]byte
	places   map[cluster.Where]*history
	acks     map[cluster.Where]cluster.Status
	live     map[cluster.Unit]map[cluster.HostID]bool // ordered to be there, and not to be gone
	granted  map[cluster.Unit]int64                   // the newest generation of an order to run
	leader   leaderKey
	identity string // of the store as it is
	first    string // of the store that the hosts joined
	accepted bool
	resumed  time.Time
	storeBad spans
	intents  int // user operations under way
	broken   []string
	trace    []string
	starts   int       // by agents
	stops    int       // by agents
	tell     io.Writer // gets each line of the trace at once; nil = nobody
	reboots
}

// rules switches on what only some scenarios promise.
type rules struct {
	brake bool // the storm brake is on
}

type leaderKey struct {
	rev  int64 // create revision; 0 = nobody leads
	host cluster.HostID
}

// facts are what the store says of a host.
type facts struct {
	id     cluster.HostID
	alive  int64  // create revision of its sign of life, 0 while absent
	boot   string // that the sign of life names, the last one
	absent time.Time
	spec   cluster.HostSpec
	told   time.Time // when spec changed last
	rebootFacts
}

// head is a unit as its user wants it.
type head struct {
	spec cluster.UnitSpec
	req  units.Requirements
}

// plain units have no reason to leave a living host.
func (h *head) plain() bool {
	r := h.req
	return !r.Global && r.MachineID == "" && len(r.MachineOf) == 0 && len(r.Metadata) == 0 && len(r.Conflicts) == 0
}

// version is one order with the time from which it stood; a deletion has state 0.
type version struct {
	cluster.Placement
	from time.Time
}

// history is what was ordered of one unit on one host.
type history struct{ list []version }

func (h *history) last() version {
	if h == nil || len(h.list) == 0 {
		return version{}
	}
	return h.list[len(h.list)-1]
}

func (h *history) size() int {
	if h == nil {
		return 0
	}
	return len(h.list)
}

// since returns the orders that stood at some time from t on.
func (h *history) since(t time.Time) []version {
	if h == nil {
		return nil
	}
	i := len(h.list)
	for i > 0 {
		i--
		if !h.list[i].from.After(t) {
			break
		}
	}
	return h.list[i:]
}

func newJudge(timing cluster.Timing, r rules) *Judge {
	j := &Judge{began: time.Now(), timing: timing, rules: r}
	j.forget()
	return j
}

// forget is what a wipe leaves: nothing.
func (j *Judge) forget() {
	j.hosts = map[cluster.HostID]*facts{}
	j.heads = map[cluster.Unit]*head{}
	j.blobs = map[units.Hash][]byte{}
	j.acks = map[cluster.Where]cluster.Status{}
	j.live = map[cluster.Unit]map[cluster.HostID]bool{}
	j.granted = map[cluster.Unit]int64{}
	j.leader = leaderKey{}
	j.reboots.forget()
	for _, h := range j.places {
		h.list = append(h.list, version{from: time.Now()})
	}
	if j.places == nil {
		j.places = map[cluster.Where]*history{}
	}
}

// note adds a line to the trace. mu is held.
func (j *Judge) note(format string, args ...any) {
	line := fmt.Sprintf("%9.3f ", time.Since(j.began).Seconds()) + fmt.Sprintf(format, args...)
	j.trace = append(j.trace, line)
	if j.tell != nil {
		fmt.Fprintln(j.tell, line)
	}
}

// Note adds a line to the trace.
func (j *Judge) Note(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.note(format, args...)
}

// breach notes a broken promise. mu is held.
func (j *Judge) breach(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	j.note("BROKEN: %s", text)
	if len(j.broken) < 20 {
		j.broken = append(j.broken, text)
	}
}

// Breach notes a broken promise that somebody else saw.
func (j *Judge) Breach(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.breach(format, args...)
}

// Broken are the promises that were broken so far.
func (j *Judge) Broken() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]string(nil), j.broken...)
}

// Trace is what happened, in order.
func (j *Judge) Trace() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.trace, "\n")
}

func (j *Judge) fact(id cluster.HostID) *facts {
	f := j.hosts[id]
	if f == nil {
		f = &facts{id: id, absent: time.Now()}
		j.hosts[id] = f
	}
	return f
}

// committed is called by the store at each revision, under its lock.
func (j *Judge) committed(rev int64, events []store.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(events) == 0 {
		j.note("store is wiped")
		j.identity = ""
		j.forget()
		return
	}
	c := commit{j: j, rev: rev}
	j.rev = rev
	for _, e := range events {
		c.take(e)
	}
	c.judge()
}

// commit is one revision, taken apart.
type commit struct {
	j        *Judge
	rev      int64
	by       string
	term     int64
	moves    []move
	restarts []cluster.Where // of units that run
	turns    []turning       // of hosts' reboots
	specs    []specChange    // what operators say of hosts
}

// move is one change of an order.
type move struct {
	cluster.Where
	was, is version
}

func (c *commit) take(e store.Event) {
	key := strings.TrimPrefix(e.Key, prefix)
	folder, name, _ := strings.Cut(key, "/")
	j := c.j
	c.foreign(folder, key)
	switch folder {
	case "signature":
		c.by, c.term = signed(e.Value)
	case "store":
		c.takeStore(e)
	case "accepted":
		j.accepted = true
		j.note("store is accepted")
	case "failover":
		j.resumed = time.Now()
	case "leader":
		c.takeLeader(e)
	case "blob":
		if !e.Deleted {
			j.blobs[units.Hash(name)] = e.Value
		}
	case "unit":
		c.takeHead(cluster.Unit(name), e)
	case "host":
		c.takeSpec(cluster.HostID(name), e)
	case "alive":
		c.takeAlive(cluster.HostID(name), e)
	case "to":
		c.takeOrder(name, e)
	case "status":
		c.takeStatus(name, e)
	default:
		c.takeReboots(folder, name, e)
	}
}

// foreign refuses what hosts write to a store that is not theirs.
func (c *commit) foreign(folder, key string) {
	j := c.j
	if j.identity == j.first || j.accepted && j.identity != "" {
		return
	}
	switch folder {
	case "to", "status", "hostinfo", "alive", "leader":
		j.breach("%s was written at revision %d to a store that nobody accepted", key, c.rev)
	}
}

// decode reads a value; one that somebody damaged is the zero value.
func decode[T any](value []byte) T {
	var v, zero T
	if json.Unmarshal(value, &v) != nil {
		return zero
	}
	return v
}

func (c *commit) takeStore(e store.Event) {
	if e.Deleted {
		c.j.identity = ""
		return
	}
	c.j.identity = decode[cluster.Identity](e.Value).ID
	if c.j.first == "" {
		c.j.first = c.j.identity
	}
	c.j.note("store is %.8s", c.j.identity)
}

func (c *commit) takeLeader(e store.Event) {
	if e.Deleted {
		c.j.leader = leaderKey{}
		c.j.note("nobody leads")
		return
	}
	c.j.leads = time.Now()
	c.j.leader = leaderKey{e.CreateRev, decode[cluster.LeaderInfo](e.Value).Host}
	c.j.note("%s leads, term %d", c.j.leader.host.Short(), e.CreateRev)
}

func (c *commit) takeHead(u cluster.Unit, e store.Event) {
	j := c.j
	if j.intents == 0 && (e.Deleted || json.Valid(e.Value)) {
		j.breach("the head of %s was changed and no user did it", u)
	}
	if e.Deleted {
		delete(j.heads, u)
		j.note("user: %s is destroyed", u)
		return
	}
	h := &head{spec: decode[cluster.UnitSpec](e.Value)}
	if f, err := units.Parse(u, j.blobs[h.spec.Blob]); err == nil {
		h.req, _ = f.Requirements()
	}
	if j.heads[u] == nil {
		j.lastUp[u] = time.Now()
	}
	j.heads[u] = h
	j.note("user: %s is to be %s, run %d restart %d blob %s", u, h.spec.Target, h.spec.Run, h.spec.Restart, h.spec.Blob.Short())
}

func (c *commit) takeSpec(id cluster.HostID, e store.Event) {
	f := c.j.fact(id)
	was := f.spec
	f.spec, f.told = cluster.HostSpec{}, time.Now()
	if !e.Deleted {
		f.spec = decode[cluster.HostSpec](e.Value)
	}
	c.j.note("user: host %s is cordoned %v removed %v labels %v%s", id.Short(), f.spec.Cordon != nil, f.spec.Removed != nil, f.spec.Labels, rebootWords(f.spec))
	c.specs = append(c.specs, specChange{id, was})
}

func (c *commit) takeAlive(id cluster.HostID, e store.Event) {
	j := c.j
	f := j.fact(id)
	if !e.Deleted {
		if f.alive != e.CreateRev {
			j.note("%s is alive", id.Short())
		}
		f.alive, f.absent, f.boot = e.CreateRev, time.Time{}, decode[cluster.Alive](e.Value).Boot
		return
	}
	for w := range j.acks {
		if w.Host == id {
			j.sees(w.Unit)
		}
	}
	f.alive, f.absent = 0, time.Now()
	j.note("%s is absent", id.Short())
	for _, m := range j.machines {
		if m.id == id {
			m.outlived(j)
		}
	}
}

func (c *commit) takeOrder(name string, e store.Event) {
	host, rest, _ := strings.Cut(name, "/")
	unit, ok := strings.CutPrefix(rest, "place/")
	if rest == "grant" {
		c.takeGrant(cluster.HostID(host), e)
	}
	if !ok {
		return
	}
	j := c.j
	w := cluster.Where{Host: cluster.HostID(host), Unit: cluster.Unit(unit)}
	h := j.places[w]
	if h == nil {
		h = &history{}
		j.places[w] = h
	}
	m := move{Where: w, was: h.last(), is: version{from: time.Now()}}
	if !e.Deleted {
		m.is.Placement = decode[cluster.Placement](e.Value)
	}
	if !e.Deleted && m.is.State == 0 {
		j.note("order: %s on %s is damaged", w.Unit, w.Host.Short())
		return
	}
	h.list = append(h.list, m.is)
	c.moves = append(c.moves, m)
	if j.live[w.Unit] == nil {
		j.live[w.Unit] = map[cluster.HostID]bool{}
	}
	delete(j.live[w.Unit], w.Host)
	if m.is.wanted() {
		j.live[w.Unit][w.Host] = true
	}
	j.note("order: %s on %s is %s gen %d run %d restart %d: %s", w.Unit, w.Host.Short(), m.is.word(), m.is.Generation, m.is.Run, m.is.Restart, m.is.Reason)
}

// wanted says that the unit is to be on the host.
func (v version) wanted() bool { return v.State != 0 && v.State != cluster.Gone }

func (v version) runs() bool { return v.State == cluster.Launched || v.State == cluster.Draining }

func (v version) word() string {
	if v.State == 0 {
		return "deleted"
	}
	return v.State.String()
}

func (c *commit) takeStatus(name string, e store.Event) {
	host, unit, _ := strings.Cut(name, "/")
	w := cluster.Where{Host: cluster.HostID(host), Unit: cluster.Unit(unit)}
	c.j.sees(w.Unit)
	if e.Deleted {
		delete(c.j.acks, w)
		delete(c.j.wrong, w)
		return
	}
	st := decode[cluster.Status](e.Value)
	c.j.acks[w] = st
	if st.State.Running() || endedWell(st) {
		delete(c.j.wrong, w)
	} else if c.j.wrong[w].IsZero() {
		c.j.wrong[w] = time.Now()
	}
}

// identityBefore is the store that the hosts joined.
func (j *Judge) identityBefore() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.first
}
