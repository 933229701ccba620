package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"flotilla/agent"
	"flotilla/agent/systemd"
	"flotilla/agent/systemd/fake"
	"flotilla/cluster"
	"flotilla/cluster/store"
	daemondoors "flotilla/daemon/doors"
	"flotilla/leader"
)

// Host is one simulated machine: a fake systemd and the process that a daemon is, which
// holds the agent and, on a candidate, the leader loop.
type Host struct {
	w         *World
	name      string
	id        cluster.HostID
	candidate bool
	labels    map[string]string
	machine   *fake.Host
	truth     *truth
	clock     clock

	mu    sync.Mutex
	proc  *process // nil while none lives
	lives int      // folders made so far
	lag   time.Duration
	log   *slog.Logger
	fates *rand.Rand // how it comes back from its shutdowns
	need  string     // what asks for its reboot
	rose  time.Time  // when it came back last
	ill   time.Time  // until when that boot is not well
}

// process is one life of a host's daemon.
type process struct {
	gate   *gate // to the outside
	stall  *gate // to the leader's writes
	agent  *agent.Agent
	loop   *leader.Loop // nil on a host that is no candidate
	store  *store.Store
	cancel context.CancelFunc
	done   chan struct{} // closed when the agent has ended

	mu    sync.Mutex
	locks []func()  // of logind's, to be given back
	heard time.Time // when the store answered last
}

func newHost(w *World, n int, name string) *Host {
	h := &Host{
		w: w, name: name, id: cluster.HostID(fmt.Sprintf("%08x%024x", n+1, 1)),
		candidate: n < w.opt.Candidates,
		log:       w.opt.Log.With("host", name),
		labels:    map[string]string{"zone": string(rune('a' + n%3))},
	}
	h.clock.booted = time.Now()
	h.fates = rand.New(rand.NewPCG(w.opt.Seed, 0x66617465+uint64(n)))
	h.machine = fake.New(fake.Options{
		Seed: w.opt.Seed<<16 + uint64(n), StartTime: w.opt.StartTime, StopTime: w.opt.StopTime, ReloadTime: w.opt.ReloadTime,
		PullTime: fake.Range{To: pullTime},
		Behave:   func(unit string) (fake.Behaviour, bool) { return behave(name, unit) }, MachineID: string(h.id),
	})
	h.truth = &truth{name: name, id: h.id, booted: time.Now(), knew: time.Now(), up: map[cluster.Unit]*run{}, tally: map[cluster.Unit]int{}, used: map[int64]int{}}
	if w.Judge != nil {
		w.Judge.mu.Lock()
		w.Judge.machines = append(w.Judge.machines, h.truth)
		w.Judge.clockOf[h.id], h.truth.sick = h.clock.off, h.illFor
		w.Judge.mu.Unlock()
		h.machine.Observe(func(e fake.Event) { w.Judge.happened(h.truth, e) })
		w.Judge.booted(h.truth, h.boot())
	}
	if w.opt.Reboots != nil {
		h.machine.DelayMax(w.opt.Reboots.Delay)
		h.machine.OnDown(h.fell)
	}
	return h
}

// client is the name of the host's way to the store.
func (h *Host) client() string { return h.name }

func (h *Host) folder(life int, kind string) string {
	return filepath.Join(h.w.opt.Dir, h.name, fmt.Sprint(life), kind)
}

// Start starts the host's daemon if none lives.
func (h *Host) Start() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.proc != nil || !h.machine.Powered() {
		return nil
	}
	p := &process{stall: newGate(nil), done: make(chan struct{})}
	p.gate = newGate(func() { h.Kill() })
	p.gate.lag = h.lag
	seams := h.w.opt.seams
	backend := store.Backend(h.w.Store.Of(h.client()))
	if seams.backend != nil {
		backend = seams.backend(backend)
	}
	p.store = store.New(wire{Backend: backend, gate: p.gate, name: string(h.id), after: h.w.after, heard: p.hears}, "", store.Options{TTL: h.w.opt.Timing.TTL, Log: h.log})
	if err := h.newAgent(p); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	h.w.run(func() {
		defer close(p.done)
		if err := p.agent.Run(ctx); err != nil && ctx.Err() == nil && h.w.Judge != nil {
			h.w.Judge.Breach("agent of %s ended by itself: %v", h.name, err)
		}
	})
	if h.candidate {
		h.newLeader(ctx, p)
	}
	h.proc = p
	if h.w.Judge != nil {
		h.w.Judge.mu.Lock()
		h.truth.lives++
		h.w.Judge.mu.Unlock()
	}
	return nil
}

func (h *Host) newAgent(p *process) error {
	m := newMachine(h.machine, p.gate)
	m.host = h
	doors := agent.Doors{
		Systemd: m, Changes: m, Timers: m, Killer: m, Files: m, Journal: m, Clock: m,
		Images: images{systemd.NewImages(h.machine, h.machine, h.machine), p.gate},
		Views:  p.store, Presence: p.store, Reporter: p.store,
	}
	if h.w.opt.Reboots != nil {
		doors.Logind = logind{daemondoors.Logind{Login: h.machine.Logind()}, h, p, p.gate}
		doors.Machine, doors.Grants, doors.Needs, doors.Checks = m, p.store, needs{h}, checks{h.w}
	}
	if f := h.w.opt.seams.doors; f != nil {
		f(&doors)
	}
	boot := h.boot()
	var err error
	p.agent, err = agent.New(doors, agent.Options{
		Host: h.id, Timing: h.w.opt.Timing, Log: h.log,
		Info: cluster.HostInfo{
			Boot: boot.ID, Reboot: h.softBoots(boot), Etcd: h.member(), Name: h.name, Address: h.name + ":7117", Version: version1, Labels: h.labels,
			Runtimes: map[string]string{"podman": "5.4"}, CPUs: 64, Memory: 256 << 30,
		},
		Look: h.w.opt.Reboots.look(), StateDir: h.folder(h.lives, "state"), RunDir: h.folder(h.lives, "run"),
	})
	return err
}

// pullTime is the longest that a simulated pull takes.
const pullTime = 3 * time.Second

// version1 is the version that all simulated daemons say.
const version1 = "1.0.0"

func (h *Host) newLeader(ctx context.Context, p *process) {
	source := store.NewMirror(p.store, h.clock.now)
	mirror := leader.Mirror(source)
	seat := leader.Store(throne{p.store, cluster.LeaderInfo{Host: h.id, Address: h.name + ":7117", Version: version1}, h.w.opt.Timing.LeaderTTL(), p.stall})
	seams := h.w.opt.seams
	if seams.mirror != nil {
		mirror = seams.mirror(mirror)
	}
	if seams.leader != nil {
		seat = seams.leader(seat)
	}
	p.loop = leader.New(leader.Options{Store: seat, Mirror: mirror, Plan: h.w.opt.Plan, Clock: h.clock.now, Log: h.log})
	h.w.run(func() { _ = source.Run(ctx) })
	h.w.run(func() { _ = p.loop.Run(ctx) })
}

// Kill ends the daemon as SIGKILL does: it does nothing more, and its files stay as they are.
func (h *Host) Kill() { h.end(true) }

// Term ends the daemon as SIGTERM does: it may finish what it likes.
func (h *Host) Term() {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.proc
	if p == nil {
		return
	}
	p.cancel()
	<-p.done
	h.successor(true)
	h.proc = nil
	p.gate.kill()
	p.stall.kill()
	p.drop()
}

func (h *Host) end(keepRun bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.proc
	if p == nil {
		if !keepRun {
			h.successor(false)
		}
		return
	}
	p.gate.kill()
	p.stall.kill()
	h.successor(keepRun)
	h.proc = nil
	p.cancel()
	p.drop()
}

// successor copies the folders for the next life; what a dead process still writes goes
// to the old ones.
func (h *Host) successor(keepRun bool) {
	old := h.lives
	h.lives++
	kinds := []string{"state"}
	if keepRun {
		kinds = append(kinds, "run")
	}
	for _, kind := range kinds {
		if err := copyTree(h.folder(old, kind), h.folder(h.lives, kind)); err != nil && h.w.Judge != nil {
			h.w.Judge.Breach("copy the folders of %s: %v", h.name, err)
		}
	}
}

// copyTree copies a folder; files that vanish meanwhile are left out.
func copyTree(from, to string) error {
	entries, err := os.ReadDir(from)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, e := range entries {
		src, dst := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		if e.IsDir() {
			err = copyTree(src, dst)
		} else {
			err = copyFile(src, dst)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o600)
}

// PowerOff ends everything on the host at once; /run is lost.
func (h *Host) PowerOff() {
	h.machine.PowerLoss()
	h.end(false)
}

// Boot starts a host without power, and its daemon.
func (h *Host) Boot() error {
	if !h.machine.Powered() {
		h.machine.Boot()
		if h.w.Judge != nil {
			h.w.Judge.booted(h.truth, h.boot())
		}
	}
	return h.Start()
}

// process is the living one, or nil.
func (h *Host) process() *process {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.proc
}

// Freeze stops the daemon's process where it is, or lets it go on. systemd is not frozen.
func (h *Host) Freeze(on bool) {
	if p := h.process(); p != nil {
		p.gate.freeze(on)
	}
}

// Stall holds the writes of this host's leader up, or lets them go.
func (h *Host) Stall(on bool) {
	if p := h.process(); p != nil {
		p.stall.freeze(on)
	}
}

// Slow has every answer of the store come later by d.
func (h *Host) Slow(d time.Duration) {
	h.mu.Lock()
	h.lag = d
	h.mu.Unlock()
	if p := h.process(); p != nil {
		p.gate.slow(d)
	}
}

// Fuse kills the daemon when it has used its doors n more times.
func (h *Host) Fuse(n int) {
	if p := h.process(); p != nil {
		p.gate.light(n)
	}
}

// Leads says whether this host's leader loop believes to lead.
func (h *Host) Leads() bool {
	p := h.process()
	return p != nil && p.loop != nil && p.loop.Latest().Leading
}
