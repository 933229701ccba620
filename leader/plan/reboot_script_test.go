package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"flotilla/cluster"
	"flotilla/leader/plan"
)

// rebootCommand are the commands of scripts about reboots. Words with blanks in them are written with "_".
func (w *world) rebootCommand(verb string, args []string) string {
	switch verb {
	case "group":
		w.group(args[0], args[1:])
	case "window":
		w.window(args[0], args[1:])
	case "need": // h1 yes|no|unknown [reason]
		w.report(args[0], func(r *cluster.RebootReport) {
			_ = r.Need.State.UnmarshalText([]byte(args[1]))
			r.Need.Reasons = spoken(args[2:])
		})
	case "wish": // h1 h2 [by=ann why=.. now soft external]: one request
		w.wish(args)
	case "cancel":
		w.spec(args[0], func(s *cluster.HostSpec) { s.Reboot = nil })
	case "freeze": // all|group:web|h1 [until=.. why=..]
		w.freeze(args[0], &cluster.Freeze{By: w.by(args[1:]), Until: w.at(settings(args[1:])["until"])})
	case "thaw":
		w.freeze(args[0], nil)
	case "unlock":
		w.unlock(args[0], args[1:])
	case "clock": // the wall clock is set; what was measured before goes on as it was
		w.setClock(w.at(args[0]))
	case "reboots":
		return w.reboots()
	case "history":
		return w.history()
	default:
		return w.agentCommand(verb, args)
	}
	return ""
}

// agentCommand are those that speak for a host's agent.
func (w *world) agentCommand(verb string, args []string) string {
	h := w.snap.Hosts[hostID(args[0])]
	if slices.Contains([]string{"before", "after", "refuse", "restored"}, verb) && h.Grant == nil {
		return h.Name() + " has no grant\n"
	}
	switch verb {
	case "before", "after": // h1 well|busy|red [reason]
		v := &cluster.Verdict{Generation: h.Grant.Generation, Well: args[1] == "well", Busy: args[1] == "busy"}
		v.Reason = strings.Join(spoken(args[2:]), " ")
		w.report(args[0], func(r *cluster.RebootReport) {
			if verb == "before" {
				r.Before = v
			} else {
				r.After = v
			}
		})
	case "use": // the grant, if it is one
		return w.use(h)
	case "until": // when the grant's window closes
		if h.Grant == nil || h.Grant.Until.IsZero() {
			return "no window binds the grant of " + h.Name() + "\n"
		}
		return h.Name() + " until " + h.Grant.Until.Format(time.DateTime) + "\n"
	case "refuse":
		w.snap.SetBooting(h.ID, &cluster.Booting{
			Generation: h.Grant.Generation, Boot: h.Grant.Boot, Refused: strings.Join(spoken(args[1:]), " "),
		}, w.rev())
	case "down":
		w.report(args[0], func(r *cluster.RebootReport) { r.Down = &cluster.GoingDown{Kind: "reboot", Since: w.now} })
	case "skew":
		w.report(args[0], func(r *cluster.RebootReport) { r.Skew = duration(args[1]) })
	case "soft": // the host soft-rebooted: a life of its own
		w.report(args[0], func(r *cluster.RebootReport) { r.Soft++ })
		h := w.snap.Hosts[hostID(args[0])]
		w.snap.SetAlive(h.ID, &cluster.Alive{Boot: h.Info.Run().Name()}, w.rev())
	case "last":
		w.report(args[0], func(r *cluster.RebootReport) {
			r.Last = &cluster.LastBoot{Before: cluster.Boot{ID: args[2]}, How: args[1]}
		})
	case "etcd":
		info := *h.Info
		info.Etcd = strings.Join(spoken(args[1:]), " ")
		w.snap.SetHostInfo(h.ID, &info, w.now)
		w.rev()
	case "mute": // an agent that knows nothing of reboots
		info := *h.Info
		info.Reboot, info.Version = nil, "0.9.0"
		w.snap.SetHostInfo(h.ID, &info, w.now)
		w.rev()
	case "badgrant":
		w.snap.SetGrant(h.ID, nil, "unknown phase", w.rev(), w.now)
	case "forget": // all but the grant is gone
		w.snap.DeleteAlive(h.ID, w.rev(), w.now)
		w.snap.DeleteHostSpec(h.ID)
		w.snap.SetHostInfo(h.ID, nil, w.now)
	case "restored": // etcd came back as it once was
		g := *h.Grant
		if err := g.Phase.UnmarshalText([]byte(args[1])); err != nil {
			w.t.Fatal(err)
		}
		w.snap.SetGrant(h.ID, &g, "", w.rev(), w.now)
	case "run":
		return w.run(args)
	default:
		w.t.Fatalf("unknown command %q", verb)
	}
	return ""
}

// afterBoot is what is left of a report when the host boots.
func afterBoot(r *cluster.RebootReport) *cluster.RebootReport {
	if r == nil {
		return nil
	}
	return &cluster.RebootReport{Need: r.Need, Skew: r.Skew}
}

func spoken(args []string) []string {
	var out []string
	for _, a := range args {
		out = append(out, strings.ReplaceAll(a, "_", " "))
	}
	return out
}

// settings takes k=v apart; a word without = is set.
func settings(args []string) map[string]string {
	out := map[string]string{}
	for _, a := range args {
		k, v, _ := strings.Cut(a, "=")
		out[k] = strings.ReplaceAll(v, "_", " ")
		if v == "" {
			out[k] = "yes"
		}
	}
	return out
}

func duration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return d
}

// at reads 15:04, of the present day, or 2006-01-02T15:04.
func (w *world) at(s string) time.Time {
	if s == "" {
		return time.Time{}
	}
	if t, err := time.Parse("2006-01-02T15:04", s); err == nil {
		return t
	}
	t, err := time.Parse("2006-01-02T15:04", w.now.Format("2006-01-02T")+s)
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

func (w *world) by(args []string) cluster.Note {
	set := settings(args)
	who := set["by"]
	if who == "" {
		who = "ann"
	}
	return cluster.Note{Who: who, When: w.now, Why: set["why"]}
}

func slots(s string) cluster.Slots {
	n, err := cluster.ParseSlots(s)
	if err != nil {
		panic(err)
	}
	return n
}

// group sets a group: selector=role=web max=2 windows=a,b stage=SELECTOR/MAX/SOAK spread=zone failures=1 loops=3
// blocked=skip finish drain=5m grant=1m return=.. gate=.. settle=.. retry=..; "gone" deletes it.
func (w *world) group(name string, args []string) {
	rev := w.rev()
	w.snap.HostsEpoch = rev
	if len(args) > 0 && args[0] == "gone" {
		delete(w.snap.Groups, name)
		return
	}
	g := &cluster.GroupHead{Name: name, Rev: rev}
	if was := w.snap.Groups[name]; was != nil {
		g.Group = was.Group
	}
	times := map[string]*time.Duration{
		"drain": &g.Times.Drain, "grant": &g.Times.Grant, "return": &g.Times.Return, "gate": &g.Times.Gate,
		"settle": &g.Times.Settle, "retry": &g.Times.Retry, "hooks": &g.Times.Hooks, "grace": &g.Times.Grace,
	}
	for _, a := range args {
		k, v, _ := strings.Cut(a, "=")
		switch k {
		case "selector":
			g.Selector = v
		case "max":
			g.Max = slots(v)
		case "windows":
			g.Windows = strings.Split(v, ",")
			if v == "" {
				g.Windows = nil
			}
		case "stage":
			p := strings.Split(v, "/")
			g.Stages = append(slices.Clone(g.Stages), cluster.Stage{Selector: p[0], Max: slots(p[1]), Soak: duration(p[2])})
		case "spread":
			g.Spread = v
		case "failures":
			g.Failures = number(v)
		case "loops":
			g.Loops = number(v)
		case "blocked":
			g.OnBlocked = cluster.OnBlocked(v)
		case "finish":
			g.Finish = true
		case "bad":
			g.Bad = strings.ReplaceAll(v, "_", " ")
		case "check":
			g.Checks = append(slices.Clone(g.Checks), cluster.Check{HTTP: v})
		default:
			*times[k] = duration(v)
		}
	}
	w.snap.Groups[name] = g
}

// window sets a window: night *-*-*_02:00 2h [zone=Europe/Berlin] [jitter=10m] [except=2026-01-02]; "gone" deletes it.
func (w *world) window(name string, args []string) {
	rev := w.rev()
	w.snap.HostsEpoch = rev
	if args[0] == "gone" {
		delete(w.snap.Windows, name)
		return
	}
	set := settings(args[2:])
	x := &cluster.WindowHead{Name: name, Rev: rev, Window: cluster.Window{
		Calendar: strings.ReplaceAll(args[0], "_", " "), Duration: duration(args[1]), Zone: set["zone"],
	}}
	if set["jitter"] != "" {
		x.Jitter = duration(set["jitter"])
	}
	if set["except"] != "" {
		x.Except = []string{set["except"]}
	}
	w.snap.Windows[name] = x
}

func (w *world) wish(args []string) {
	set := settings(args)
	wish := cluster.RebootWish{
		ID: w.snap.Revision, By: w.by(args),
		Now: set["now"] != "", Soft: set["soft"] != "", External: set["external"] != "",
	}
	for _, name := range args {
		if h := w.snap.Hosts[hostID(name)]; h != nil {
			w.spec(name, func(s *cluster.HostSpec) { s.Reboot = &wish })
		}
	}
}

func (w *world) freeze(what string, f *cluster.Freeze) {
	group, isGroup := strings.CutPrefix(what, "group:")
	switch {
	case what == "all":
		w.snap.Reboots.Freeze = f
	case isGroup:
		g := *w.snap.Groups[group]
		g.Freeze = f
		w.snap.Groups[group] = &g
	default:
		w.spec(what, func(s *cluster.HostSpec) { s.Freeze = f })
	}
	w.snap.HostsEpoch = w.rev()
}

func (w *world) unlock(name string, args []string) {
	h := w.snap.Hosts[hostID(name)]
	generation := h.GrantRev
	if h.Grant != nil {
		generation = h.Grant.Generation
	}
	w.spec(name, func(s *cluster.HostSpec) { s.Unlock = &cluster.Unlock{By: w.by(args), Generation: generation} })
}

func (w *world) report(name string, change func(*cluster.RebootReport)) {
	h := w.snap.Hosts[hostID(name)]
	info, r := *h.Info, cluster.RebootReport{}
	if info.Reboot != nil {
		r = *info.Reboot
	}
	change(&r)
	info.Reboot = &r
	w.rev()
	w.snap.SetHostInfo(h.ID, &info, w.now)
}

// use is the transaction of an agent that goes by the grant that it sees.
func (w *world) use(h *cluster.Host) string {
	boot, up := h.Boot()
	if !up || h.Grant == nil || h.Grant.Phase != cluster.PhaseGranted || boot != h.Grant.Boot {
		return h.Name() + " has no grant to use\n"
	}
	w.snap.SetBooting(h.ID, &cluster.Booting{Generation: h.Grant.Generation, Grant: h.GrantRev, Boot: boot}, w.rev())
	return ""
}

func (w *world) setClock(to time.Time) {
	by := to.Sub(w.now)
	w.now = to
	shift := func(t *time.Time) {
		if !t.IsZero() {
			*t = t.Add(by)
		}
	}
	shift(&w.snap.Watched)
	for _, h := range w.snap.Hosts {
		shift(&h.GrantSeen)
		shift(&h.GrantReady)
		shift(&h.GrantBack)
		shift(&h.Absent)
		shift(&h.DrainSeen)
		for _, st := range h.Status {
			shift(&st.Seen)
		}
	}
}

// applyReboots writes what orders say of reboots.
func (w *world) applyReboots(o cluster.Orders, rev int64) error {
	for _, g := range o.Grants {
		if g.Grant == nil {
			w.snap.DeleteGrant(g.Host)
			continue
		}
		w.snap.SetGrant(g.Host, g.Grant, "", rev, w.now)
	}
	for _, r := range o.Records {
		w.snap.History[cluster.HistoryKey{Host: r.Host, Generation: r.Generation}] = &r
	}
	for _, k := range o.Trim {
		if w.snap.History[k] == nil {
			return fmt.Errorf("record %v is trimmed and is not there", k)
		}
		delete(w.snap.History, k)
	}
	return nil
}

// granted prints a decision about a reboot.
func (w *world) granted(d plan.Decision) string {
	what := "unasked boot"
	for _, g := range d.Orders.Grants {
		if what = "grant deleted"; g.Grant != nil {
			what = g.Grant.Phase.String()
		}
	}
	return fmt.Sprintf("%s %s: %s\n", w.nameOf(d.Host), what, d.Reason)
}

// reboots prints what a daemon with a mirror says.
func (w *world) reboots() string {
	var b strings.Builder
	for _, r := range plan.Reboots(w.snap, w.opt, w.now) {
		fmt.Fprintf(&b, "%s %s %s", r.Name, r.Phase, strings.Join(r.Groups, ","))
		if r.Place > 0 {
			fmt.Fprintf(&b, " #%d", r.Place)
		}
		if r.Halts {
			b.WriteString(" halts")
		}
		fmt.Fprintf(&b, ": %s", r.Reason)
		if !r.Next.IsZero() {
			fmt.Fprintf(&b, " (in %s)", r.Next.Sub(w.now))
		}
		b.WriteString("\n")
	}
	if b.Len() == 0 {
		return "no reboots\n"
	}
	return b.String()
}

func (w *world) history() string {
	var lines []string
	for k, r := range w.snap.History {
		unasked := ""
		if r.Unasked {
			unasked = " unasked"
		}
		lines = append(lines, fmt.Sprintf("%04d %s %s%s, %s: %s, away %.0fs\n", k.Generation, r.Name, r.Outcome, unasked, r.Cause, r.Reason, r.Away))
	}
	slices.Sort(lines)
	for i, l := range lines {
		_, lines[i], _ = strings.Cut(l, " ")
	}
	return strings.Join(lines, "")
}

// run lets time pass with agents that do as they should: they obey, run their hooks, use grants, are away for 30 s and
// come back well. It prints the decisions about reboots with the seconds since it began. Hosts that are named
// with a minus do not come back.
func (w *world) run(args []string) string {
	begun, until := w.now, w.now.Add(duration(args[0]))
	dead := map[cluster.HostID]bool{}
	for _, a := range args[1:] {
		dead[hostID(strings.TrimPrefix(a, "-"))] = true
	}
	var b strings.Builder
	for range 10_000 {
		w.agents(dead)
		res := w.step()
		for _, d := range res.Decisions {
			if d.Kind == plan.Grant {
				fmt.Fprintf(&b, "%5.0f  %s", w.now.Sub(begun).Seconds(), w.granted(d))
			}
		}
		switch {
		case len(res.Decisions) > 0:
			continue
		case !w.now.Before(until):
			return b.String()
		}
		w.now = w.soonest(res.Next, until)
	}
	w.t.Fatal("the plan does not come to rest")
	return ""
}

const awayFor = 30 * time.Second

// soonest is when something happens next: in the plan, or a host comes back.
func (w *world) soonest(next, until time.Time) time.Time {
	if next.After(w.now) && next.Before(until) {
		until = next
	}
	for _, h := range w.snap.Hosts {
		if h.Alive == nil && !h.Absent.IsZero() {
			if at := h.Absent.Add(awayFor); at.After(w.now) && at.Before(until) {
				until = at
			}
		}
	}
	return until
}

// agents lets each agent do what is to be done now.
func (w *world) agents(dead map[cluster.HostID]bool) {
	var ids []cluster.HostID
	for id := range w.snap.Hosts {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		h := w.snap.Hosts[id]
		name := h.Name()
		switch g := h.Grant; {
		case h.Alive == nil && h.Used() && !dead[id] && !w.now.Before(h.Absent.Add(awayFor)):
			w.revive(name, true)
			w.obey(h)
		case h.Alive == nil || g == nil:
			w.obey(h)
		case h.Used() && (g.Phase == cluster.PhaseRebooting || g.Phase == cluster.PhaseOverdue) && h.Info.Boot == g.Boot.ID:
			w.kill(name)
		case g.Phase == cluster.PhaseDrained:
			w.command("before " + name + " well")
		case g.Phase == cluster.PhaseGranted && !h.Used():
			w.use(h)
		case g.Phase == cluster.PhaseReturning:
			w.obey(h)
			w.command("after " + name + " well")
		default:
			w.obey(h)
		}
	}
}
