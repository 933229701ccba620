package sim

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/cluster/store/memory"
	"flotilla/units"
)

// Script plays commands in a World, one line each. Call it in a synctest bubble.
type Script struct {
	dir    string
	w      *World
	starts int
	stops  int
	seams  seams // defects
	killed *Host // by leader kill
}

// NewScript makes a script that keeps the agents' files in a folder.
func NewScript(dir string) *Script { return &Script{dir: dir} }

// Close ends the world.
func (s *Script) Close() {
	if s.w != nil {
		s.w.Close()
	}
}

// World is the one that the script made.
func (s *Script) World() *World { return s.w }

// Do carries out one command and returns what it prints:
//
//	hosts N                    make a cluster of N hosts and start it
//	start KIND N               submit N units of a kind, launched
//	submit|stop|destroy|restart UNIT
//	family NAME N              submit NAME@1 to NAME@N, launched
//	replace NAME N VERSION     give them other content, which restarts them; version 0 does not come up
//	shift UNIT FROM TO         its user wants it to leave a host for another
//	wait DURATION
//	power off|on HOST          agent kill|term|start HOST
//	cut|join HOST              freeze|thaw HOST
//	leave HOST                 the host ends its agent and leaves the cluster
//	store away|refusing|back|wiped|renewed|accepted   away answers nothing, refusing is no etcd at all
//	leader stall|go            hold the leader's writes up until after its lease, or let them go
//	leader kill|back           kill its daemon, and start it again
//	orders|heads deleted       all of them, behind everybody's back
//	unit damaged UNIT          its head does not decode any more
//	failover resume            orphans stopped
//	show                       what runs where, and what agents did since the last show
//	contents NAME              how many of a family run, and with which content
func (s *Script) Do(line string) (string, error) {
	f := strings.Fields(line)
	if len(f) == 0 || strings.HasPrefix(line, "#") {
		return "", nil
	}
	if f[0] == "hosts" {
		return "", s.make(f[1])
	}
	if s.w == nil {
		return "", fmt.Errorf("%s: begin with hosts N", line)
	}
	if f[0] == "show" {
		return s.show(), nil
	}
	if f[0] == "contents" && len(f) > 1 {
		return s.contents(f[1]), nil
	}
	word := f[0]
	if len(f) > 1 && (word == "power" || word == "agent" || word == "store" || word == "leader" || word == "orders" || word == "heads" || word == "unit" || word == "failover" || word == "orphans") {
		word += " " + f[1]
		f = f[1:]
	}
	return "", s.command(word, f[1:])
}

func (s *Script) make(n string) error {
	hosts, err := strconv.Atoi(n)
	if err != nil {
		return fmt.Errorf("hosts %q: %w", n, err)
	}
	if s.w, err = NewWorld(Options{Hosts: hosts, Kind: true, Dir: s.dir, seams: s.seams}); err != nil {
		return err
	}
	if err := s.w.Start(); err != nil {
		return err
	}
	pauseFor(2 * time.Second)
	return nil
}

func (s *Script) command(word string, args []string) error {
	if err, ok := s.unitCommand(word, args); ok {
		return err
	}
	if err, ok := s.familyCommand(word, args); ok {
		return err
	}
	if err, ok := s.storeCommand(word); ok {
		return err
	}
	if len(args) == 0 {
		return fmt.Errorf("%s: unknown, or lacks its argument", word)
	}
	h := s.host(args[0])
	if h == nil {
		return fmt.Errorf("%s %s: no such host", word, args[0])
	}
	return s.hostCommand(word, h)
}

func (s *Script) host(name string) *Host {
	for _, h := range s.w.Hosts {
		if h.name == name {
			return h
		}
	}
	return nil
}

// unitCommand carries out what concerns units and time; ok is false for other commands.
func (s *Script) unitCommand(word string, args []string) (err error, ok bool) { //nolint:revive // ok last reads better here
	w := s.w
	u := func() cluster.Unit { return cluster.Unit(args[0]) }
	switch {
	case word == "start" && len(args) == 2:
		n, err := strconv.Atoi(args[1])
		for i := range n {
			u := cluster.Unit(fmt.Sprintf("%s-%d.service", args[0], i+1))
			w.Submit(u, content(u, 1), units.Launched)
		}
		return err, true
	case word == "wait" && len(args) == 1:
		d, err := time.ParseDuration(args[0])
		pauseFor(d)
		return err, true
	case word == "submit" && len(args) == 1:
		w.Submit(u(), content(u(), 1), units.Launched)
	case word == "stop" && len(args) == 1:
		w.Aim(u(), units.Loaded)
	case word == "restart" && len(args) == 1:
		w.Restart(u())
	case word == "destroy" && len(args) == 1:
		w.Destroy(u())
	case word == "unit damaged" && len(args) == 1:
		return s.damage(prefix + "unit/" + args[0]), true
	default:
		return nil, false
	}
	return nil, true
}

func (s *Script) damage(key string) error {
	_, err := s.w.Store.Observer().Txn(context.Background(), store.Txn{Then: []store.Op{{Key: key, Value: []byte("{damaged")}}})
	return err
}

// storeCommand carries out what concerns the store and the leader.
func (s *Script) storeCommand(word string) (err error, ok bool) { //nolint:revive // ok last reads better here
	w := s.w
	switch word {
	case "store away", "store back":
		w.Judge.troubled(nil, word == "store away")
		w.Store.Down(word == "store away")
	case "leader kill":
		if s.killed = w.Leader(); s.killed != nil {
			w.Judge.troubled(s.killed.truth, true)
			s.killed.Kill()
		}
	case "leader back":
		if s.killed != nil {
			defer w.Judge.troubled(s.killed.truth, false)
			return s.killed.Start(), true
		}
	case "store refusing":
		w.Judge.troubled(nil, true)
		w.Store.Refuse()
	case "store wiped":
		w.Judge.troubled(nil, true)
		w.Store.Wipe()
		w.meet()
	case "store renewed":
		w.meet()
		_, err := w.Above().Init(context.Background())
		return err, true
	case "store accepted":
		old := w.Judge.identityBefore()
		_, err := w.Above().AcceptStore(context.Background(), cluster.Acceptance{Old: old, By: me()})
		return err, true
	case "leader stall", "leader go":
		for _, h := range w.Hosts {
			stall := word == "leader stall" && h.Leads()
			h.Stall(stall)
			if stall {
				w.depose(h)
			}
		}
	case "orders deleted":
		return s.vandal("to/"), true
	case "heads deleted":
		return s.vandal("unit/"), true
	case "failover resume":
		_, err := w.User().ResumeFailover(context.Background(), me())
		return err, true
	case "orphans stopped":
		w.StopOrphans()
	default:
		return nil, false
	}
	return nil, true
}

// vandal deletes all keys that begin so.
func (s *Script) vandal(keys string) error {
	s.w.expect(1) // heads are a person's, whoever it is
	defer s.w.expect(-1)
	_, err := s.w.Store.Observer().Txn(context.Background(), store.Txn{Then: []store.Op{
		{Key: prefix + keys, DeletePrefix: true}, {Key: signature, Value: []byte(vandal + "@0")},
	}})
	return err
}

// hostCommand carries out what concerns one host.
func (s *Script) hostCommand(word string, h *Host) error {
	w := s.w
	begins := slices.Contains([]string{"power off", "agent kill", "agent term", "cut", "freeze"}, word)
	ends := slices.Contains([]string{"power on", "agent start", "join", "thaw"}, word)
	if begins {
		w.Judge.troubled(h.truth, true)
	}
	if ends {
		defer w.Judge.troubled(h.truth, false)
	}
	switch word {
	case "power off":
		h.PowerOff()
	case "power on":
		return h.Boot()
	case "agent kill":
		h.Kill()
	case "agent term":
		h.Term()
	case "agent start":
		return h.Start()
	case "cut":
		return cut(memory.CutAll)(w, h)
	case "join":
		return cut(memory.CutNone)(w, h)
	case "freeze", "thaw":
		h.Freeze(word == "freeze")
	case "leave":
		h.Term()
		w.Leave(h)
		w.Typed()
	default:
		return fmt.Errorf("%s: unknown command", word)
	}
	return nil
}

// show prints the cluster in a few lines.
func (s *Script) show() string {
	w := s.w
	w.Typed()
	j := w.Judge
	var frozen []string
	for _, h := range w.Hosts {
		if p := h.process(); p != nil && p.agent.State().Frozen != "" {
			frozen = append(frozen, h.name)
		}
	}
	waiting := map[string]int{}
	if h := w.Leader(); h != nil && h.process() != nil {
		for _, r := range h.process().loop.Latest().Waiting {
			waiting[r.Reason]++
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	var b strings.Builder
	total, copies, seen := 0, 0, map[cluster.Unit]int{}
	var at []string
	for _, t := range j.machines {
		if len(t.up) > 0 { // how many on each depends on how the starts fell into batches
			at = append(at, t.name)
		}
		total += len(t.up)
		for u := range t.up {
			if seen[u]++; seen[u] > 1 && !strings.HasPrefix(string(u), global) {
				copies++
			}
		}
	}
	fmt.Fprintf(&b, "running %d (on %s), on two hosts %d; agents started %d, stopped %d\n", total, strings.Join(at, ", "), copies, j.starts-s.starts, j.stops-s.stops)
	s.starts, s.stops = j.starts, j.stops
	if len(frozen) > 0 {
		fmt.Fprintf(&b, "frozen: %s\n", strings.Join(frozen, ", "))
	}
	var reasons []string
	for r, n := range waiting {
		reasons = append(reasons, fmt.Sprintf("waiting %d: %s\n", n, r))
	}
	slices.Sort(reasons)
	b.WriteString(strings.Join(reasons, ""))
	return b.String()
}
