package sim

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/units"
)

// reboots is what the judge knows of reboots.
type reboots struct {
	rev       int64
	leads     time.Time // since when who leads does
	groups    map[string]cluster.Group
	selectors map[string]units.Selector // of groups that can be read
	windows   map[string]cluster.Window
	policy    cluster.RebootPolicy
	edited    time.Time // when a group, a window or the policy changed last
	count     map[string]int
	peak      int // hosts that took a slot at once
	traps     map[cluster.Phase][]func(cluster.HostID)
	stalls    spans // writes of leaders are held up
	clockOf   map[cluster.HostID]func() time.Duration
	lastUp    map[cluster.Unit]time.Time  // when a unit was available last
	wrong     map[cluster.Where]time.Time // since when a host reports a unit that does not run
}

// forget is what a wipe leaves.
func (r *reboots) forget() {
	r.selectors = map[string]units.Selector{}
	r.groups, r.windows, r.policy = map[string]cluster.Group{}, map[string]cluster.Window{}, cluster.RebootPolicy{}
	r.lastUp, r.wrong = map[cluster.Unit]time.Time{}, map[cluster.Where]time.Time{}
	if r.count == nil {
		r.count = map[string]int{}
		r.traps = map[cluster.Phase][]func(cluster.HostID){}
		r.clockOf = map[cluster.HostID]func() time.Duration{}
	}
}

// rebootFacts are what the store says of a host's reboots.
type rebootFacts struct {
	info    cluster.HostInfo
	down    time.Time // since when it says that somebody takes it down; zero = it does not
	rose    time.Time // when it last said that it goes down no more
	grant   *cluster.Grant
	began   time.Time     // when its reboot did
	granted time.Time     // when it got leave
	ahead   time.Duration // what the clock of the leader said then, minus the true time
	ended   time.Time     // when it gave its slot back
	drained bool          // units had to leave it
	reason  string        // of where it is, by who leads
	booking cluster.Booting
	booked  time.Time
}

// turning is one change of a host's reboot.
type turning struct {
	host    cluster.HostID
	was, is *cluster.Grant
}

type specChange struct {
	host cluster.HostID
	was  cluster.HostSpec
}

// phase is where the host stands.
func (f *facts) phase() cluster.Phase {
	if f.grant == nil {
		return cluster.PhaseNone
	}
	return f.grant.Phase
}

func (f *facts) holds() bool { return f.phase().Holds() }

func (f *facts) away() bool { return f.phase().Away() }

// mayBeAway says that the host has leave to go, or went by it and is not well yet.
func (f *facts) mayBeAway() bool { return f.phase() >= cluster.PhaseGranted && f.holds() }

// excused hosts do not count for the storm brake.
func (f *facts) excused() bool { return f.spec.Drain != nil || f.holds() }

// used says that the host said that it uses its grant.
func (f *facts) used() bool {
	return f.grant != nil && f.booking.Generation == f.grant.Generation && f.booking.Refused == ""
}

// reaction is how long a leader without trouble may take to know what a host says.
const reaction = 15 * time.Second

// closed says why a host gets no unit, "" if it does.
func (f *facts) closed(j *Judge) string {
	switch {
	case f.spec.Drain != nil:
		return "is drained by a person"
	case f.holds():
		return "is " + f.phase().String()
	case !f.down.IsZero() && j.long(f.down, reaction):
		return "is going down since " + time.Since(f.down).String()
	}
	return ""
}

// leaves says whether units are to leave the host, or were to a moment ago.
func (f *facts) leaves(j *Judge) bool {
	return f.spec.Drain != nil || f.holds() || !f.down.IsZero() || !j.long(f.rose, reaction) || !j.long(f.ended, time.Second)
}

// long says that something is so for longer than d, whatever held up leaders meanwhile.
func (j *Judge) long(since time.Time, d time.Duration) bool {
	at := time.Now().Add(-d)
	for _, s := range []*spans{&j.stalls, &j.storeBad} {
		if from, ok := s.touches(at); ok && from.Before(at) {
			at = from.Add(-d)
		}
	}
	return since.Before(at)
}

func rebootWords(s cluster.HostSpec) string {
	var b strings.Builder
	if s.Drain != nil {
		b.WriteString(" drained")
	}
	if s.Reboot != nil {
		fmt.Fprintf(&b, " to reboot (wish %d now %v soft %v)", s.Reboot.ID, s.Reboot.Now, s.Reboot.Soft)
	}
	if s.Unlock != nil {
		fmt.Fprintf(&b, " unlocked %d", s.Unlock.Generation)
	}
	if s.Freeze != nil {
		b.WriteString(" frozen")
	}
	return b.String()
}

// takeReboots takes in what concerns reboots alone.
func (c *commit) takeReboots(folder, name string, e store.Event) {
	j := c.j
	switch folder {
	case "group":
		j.edited = time.Now()
		delete(j.groups, name)
		delete(j.selectors, name)
		if !e.Deleted {
			j.groups[name] = decode[cluster.Group](e.Value)
		}
		g := j.groups[name]
		if s, err := units.ParseSelector(g.Selector); err == nil && !e.Deleted {
			j.selectors[name] = s
		}
		j.note("user: group %s: %q max %s windows %v on blocked %s finish %v frozen %v", name, g.Selector, g.Max, g.Windows, g.OnBlocked, g.Finish, g.Freeze != nil)
	case "window":
		j.edited = time.Now()
		delete(j.windows, name)
		if !e.Deleted {
			j.windows[name] = decode[cluster.Window](e.Value)
		}
		j.note("user: window %s: %s for %s", name, j.windows[name].Calendar, j.windows[name].Duration)
	case "reboots":
		j.edited, j.policy = time.Now(), cluster.RebootPolicy{}
		if !e.Deleted {
			j.policy = decode[cluster.RebootPolicy](e.Value)
		}
		j.note("user: all reboots frozen %v", j.policy.Freeze != nil)
	case "boot":
		c.takeBooking(cluster.HostID(name), e)
	case "hostinfo":
		c.takeInfo(cluster.HostID(name), e)
	case "history":
		if !e.Deleted {
			r := decode[cluster.Record](e.Value)
			j.count["outcome "+r.Outcome.String()]++
			if r.Unasked {
				j.count["unasked "+r.Cause]++
			}
			if strings.Contains(r.Reason, "window closed") {
				j.count["window closed"]++
			}
			j.note("history: %s %s: %s (%s)", r.Name, r.Outcome, r.Reason, r.Cause)
		}
	}
}

func (c *commit) takeInfo(id cluster.HostID, e store.Event) {
	f := c.j.fact(id)
	f.info = cluster.HostInfo{}
	if !e.Deleted {
		f.info = decode[cluster.HostInfo](e.Value)
	}
	if r := f.info.Reboot; r != nil {
		c.j.note("%s says: boot %.4s+%d, need %s, before %v, after %v", id.Short(), f.info.Boot, r.Soft, r.Need.State, r.Before, r.After)
	}
	switch r := f.info.Reboot; {
	case r == nil || r.Down == nil:
		if !f.down.IsZero() {
			f.down, f.rose = time.Time{}, time.Now()
		}
	case f.down.IsZero():
		f.down = time.Now()
		c.j.count["going down"]++
		c.j.note("%s is going down, it says", id.Short())
	}
}

// takeBooking takes in that a host uses its grant, or could not. Using it rests on the grant as it stands.
func (c *commit) takeBooking(id cluster.HostID, e store.Event) {
	j, f := c.j, c.j.fact(id)
	if e.Deleted {
		f.booking = cluster.Booting{}
		return
	}
	f.booking, f.booked = decode[cluster.Booting](e.Value), time.Now()
	if f.booking.Refused != "" {
		j.note("%s does not use its grant %d: %s", id.Short(), f.booking.Generation, f.booking.Refused)
		j.count["refused"]++
		return
	}
	j.note("%s uses its grant %d", id.Short(), f.booking.Generation)
	switch g := f.grant; {
	case g == nil || g.Generation != f.booking.Generation || g.Phase != cluster.PhaseGranted:
		j.breach("%s used grant %d, and it is %s of %d", id.Short(), f.booking.Generation, f.phase(), generationOf(g))
	case f.alive == 0:
		j.breach("%s used grant %d without a life in the store", id.Short(), g.Generation)
	case f.booking.Boot != g.Boot:
		j.breach("%s used grant %d in boot %v, it is of %v", id.Short(), g.Generation, f.booking.Boot, g.Boot)
	}
}

func generationOf(g *cluster.Grant) int64 {
	if g == nil {
		return 0
	}
	return g.Generation
}

// people checks that what a person said of a host is changed by persons alone.
func (c *commit) people() {
	for _, s := range c.specs {
		is := c.j.fact(s.host).spec
		if (s.was.Cordon == nil) == (is.Cordon == nil) && (s.was.Drain == nil) == (is.Drain == nil) {
			continue
		}
		if c.j.intents == 0 || c.by != "" {
			c.j.breach("the cordon or drain of %s was changed and no user did it", s.host.Short())
		}
	}
}

// machineOf is the machine with an id.
func (j *Judge) machineOf(id cluster.HostID) *truth {
	for _, t := range j.machines {
		if t.id == id && !t.guest {
			return t
		}
	}
	return &truth{}
}

// booted tells the judge that a machine began another run of itself.
func (j *Judge) booted(t *truth, b cluster.Boot) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if t.since(b) == 0 {
		return // two that wanted to boot it
	}
	t.boots = append(t.boots, b)
	if b.Soft > 0 {
		j.count["soft reboot"]++
	}
}

// since says how many runs of the machine came after this one, -1 if it is none of its.
func (t *truth) since(b cluster.Boot) int {
	for i, x := range t.boots {
		if x == b {
			return len(t.boots) - 1 - i
		}
	}
	return -1
}

// sees notes which units are available before something about them changes.
func (j *Judge) sees(u cluster.Unit) {
	if u.IsInstance() && j.available(u) {
		j.lastUp[u] = time.Now()
	}
}

// missing says that a unit has not been available for so long that every leader knows.
func (j *Judge) missing(u cluster.Unit) bool { return !j.available(u) && j.long(j.lastUp[u], reaction) }

// movable says that a unit of a user's that runs on a machine is to leave it before its reboot.
func (j *Judge) movable(t *truth, u cluster.Unit) bool {
	h := j.heads[u]
	if h == nil || h.spec.Target != units.Launched || h.req.Global || h.req.MachineID != "" || h.req.Drain == units.DrainStay {
		return false
	}
	return j.places[cluster.Where{Host: t.id, Unit: u}].last().State != 0
}

// endedWell says that a unit came to its end by itself, and well.
func endedWell(st cluster.Status) bool {
	return st.State.Active == "inactive" && st.State.Result == "success" && strings.HasPrefix(st.Message, cluster.Ended)
}

// stalled marks the begin and the end of a time in which a leader's writes are held up.
func (j *Judge) stalled(on bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if on {
		j.stalls.begin()
		return
	}
	j.stalls.end()
}

// Count is what happened how often.
func (j *Judge) Count() map[string]int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return maps.Clone(j.count)
}
