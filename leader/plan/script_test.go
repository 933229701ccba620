package plan_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"flotilla/cluster"
	"flotilla/leader/plan"
	"flotilla/units"
)

var rewrite = flag.Bool("rewrite", false, "write what the scenarios print back into testdata")

// TestScenarios plays the scripts: blocks of commands, a line of dashes, what they
// print, an empty line. Lines that begin with # are kept.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	reboots, _ := filepath.Glob("testdata/reboot/*.txt")
	files = append(files, reboots...)
	if err != nil || len(files) == 0 {
		t.Fatalf("scenarios: %v, %v", files, err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) { play(t, f) })
	}
}

func play(t *testing.T, file string) {
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	var out strings.Builder
	for i, block := range strings.Split(strings.TrimSpace(string(raw)), "\n\n") {
		input, _, _ := strings.Cut(block, "\n----")
		if i > 0 {
			out.WriteString("\n")
		}
		fmt.Fprintf(&out, "%s\n----\n", input)
		for line := range strings.Lines(input) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				out.WriteString(w.command(line))
			}
		}
		if err := w.check(); err != nil {
			t.Errorf("after %q: %v", input, err)
		}
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(raw), out.String()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func (w *world) command(line string) string {
	f := strings.Fields(line)
	verb, args := f[0], f[1:]
	if verb == "host" {
		verb, args = "host "+f[1], f[2:]
	}
	switch verb {
	case "host add":
		w.addHost(args[0], args[1:]...)
	case "host label":
		w.spec(args[0], func(s *cluster.HostSpec) { s.Labels = labels(args[1:]) })
	case "host info":
		w.info(args[0], args[1:]...)
	case "host cordon":
		w.spec(args[0], func(s *cluster.HostSpec) { s.Cordon = &cluster.Note{Who: "op"} })
	case "host uncordon":
		w.spec(args[0], func(s *cluster.HostSpec) { s.Cordon, s.Drain = nil, nil })
	case "host drain": // HOST [abort|skip|stop [TIMEOUT]]
		w.drain(args[0], args[1:]...)
	case "host grant": // HOST PHASE: the leader's word on its reboot
		w.grant(args[0], args[1])
	case "host down": // somebody shuts it down
		w.reports(args[0], &cluster.RebootReport{Down: &cluster.GoingDown{Kind: "reboot"}})
	case "host up":
		w.reports(args[0], nil)
	case "host remove":
		w.spec(args[0], func(s *cluster.HostSpec) { s.Removed = &cluster.Note{Who: "op"} })
	case "host kill":
		for _, h := range args {
			w.kill(h)
		}
	case "host return":
		w.revive(args[0], false)
	case "host boot":
		w.revive(args[0], true)
	case "unit":
		w.unit(args[0], args[1], args[2:]...)
	case "bad":
		head := *w.snap.Units[units.Name(args[0])]
		head.Bad, head.Rev = strings.Join(args[1:], " "), w.rev()
		w.snap.SetUnit(&head)
	case "target":
		target, err := units.ParseTarget(args[1])
		if err != nil {
			w.t.Fatal(err)
		}
		w.change(args[0], func(s *cluster.UnitSpec) { s.Target = target; s.Run++ })
	case "restart":
		w.change(args[0], func(s *cluster.UnitSpec) { s.Restart++ })
	case "destroy":
		w.snap.SetDestroyed(units.Name(args[0]), w.rev())
		w.snap.DeleteUnit(units.Name(args[0]))
	case "lose": // a head goes and nobody destroyed it
		w.rev()
		w.snap.DeleteUnit(units.Name(args[0]))
	case "orphan":
		h := w.snap.Hosts[hostID(args[0])]
		w.snap.SetStatus(cluster.Where{Host: h.ID, Unit: units.Name(args[1])}, &cluster.Status{Orphan: true, Boot: h.Alive.Boot})
	case "ended": // an orphan, by itself
		w.snap.DeleteStatus(cluster.Where{Host: hostID(args[0]), Unit: units.Name(args[1])})
	case "orphan-stop":
		w.snap.SetOrphanStop(cluster.Where{Host: hostID(args[0]), Unit: units.Name(args[1])}, w.rev())
	default:
		return w.moreCommand(verb, args)
	}
	return ""
}

func (w *world) moreCommand(verb string, args []string) string {
	switch verb {
	case "wait":
		d, err := time.ParseDuration(args[0])
		if err != nil {
			w.t.Fatal(err)
		}
		w.now = w.now.Add(d)
	case "ends": // the unit does its work and ends well on the host where it is
		w.ends(units.Name(args[0]))
	case "break": // the unit's present content comes up so, on these hosts or on all
		w.breaks(units.Name(args[0]), args[1], args[2:])
	case "shift": // the user wants the unit to leave a host, for another if it fits
		from, to := hostID(args[1]), cluster.HostID("")
		if len(args) > 2 {
			to = hostID(args[2])
		}
		generation := int64(0)
		if pl := w.snap.Placed[units.Name(args[0])][from]; pl != nil {
			generation = pl.Generation
		}
		w.change(args[0], func(s *cluster.UnitSpec) { s.Shift = cluster.Shift{From: from, Generation: generation, To: to} })
	case "resume":
		w.snap.Resumed = w.rev()
	case "reload": // another leader that loaded just now
		w.snap.Watched, w.snap.Loaded = w.now, w.snap.Revision
		for _, h := range w.snap.Hosts {
			if h.Alive == nil {
				h.Absent, h.AbsentRev = w.now, 0
			}
		}
	case "unreadable": // what a newer leader ordered
		p := cluster.Placed{Host: hostID(args[0]), Unit: units.Name(args[1]), Rev: w.rev(), Bad: "unknown order"}
		p.State, p.Reason = cluster.Launched, "cannot be read: unknown order"
		w.snap.SetPlaced(&p)
	case "readable":
		p := *w.snap.Placed[units.Name(args[1])][hostID(args[0])]
		p.Rev, p.Bad = w.rev(), ""
		w.snap.SetPlaced(&p)
	case "obey":
		if len(args) == 0 {
			w.obeyAll()
		}
		for _, name := range args {
			w.obey(w.snap.Hosts[hostID(name)])
		}
	case "plan":
		return w.print(w.step())
	case "show":
		return w.show()
	case "explain":
		return w.explain(units.Name(args[0]))
	case "drainplan":
		return w.drainPlan(args)
	case "left":
		return w.left()
	case "whatif":
		return w.whatIf(args)
	case "rebalance":
		return w.rebalance(args)
	default:
		return w.rebootCommand(verb, args)
	}
	return ""
}

func (w *world) breaks(u units.Name, how string, hosts []string) {
	blob := w.snap.Units[u].Spec.Blob
	if w.broken == nil {
		w.broken = map[units.Hash]map[cluster.HostID]string{}
	}
	at := map[cluster.HostID]string{}
	for _, h := range hosts {
		at[hostID(h)] = how
	}
	if len(hosts) == 0 {
		at[""] = how
	}
	w.broken[blob] = at
}

func (w *world) print(res plan.Result) string {
	var b strings.Builder
	for _, d := range res.Decisions {
		from := ""
		if d.From != "" {
			from = w.nameOf(d.From) + " -> "
		}
		on := ""
		if d.Host != "" {
			on = " " + from + w.nameOf(d.Host)
		}
		if d.Kind == plan.Grant {
			b.WriteString(w.granted(d))
			continue
		}
		fmt.Fprintf(&b, "%s %s%s: %s\n", d.Kind, d.Unit, on, d.Reason)
	}
	for _, r := range res.Waiting {
		on := ""
		if r.Host != "" {
			on = " (on " + w.nameOf(r.Host) + ")"
		}
		fmt.Fprintf(&b, "waiting %s%s: %s\n", r.Unit, on, r.Reason)
	}
	if res.Storm != nil {
		fmt.Fprintf(&b, "storm: %s\n", res.Storm)
	}
	if !res.Next.IsZero() {
		fmt.Fprintf(&b, "next in %s\n", res.Next.Sub(w.now))
	}
	if b.Len() == 0 {
		return "nothing to do\n"
	}
	return b.String()
}

func (w *world) show() string {
	var lines []string
	for u, at := range w.snap.Placed {
		for id, pl := range at {
			lines = append(lines, fmt.Sprintf("%s %s %s\n", w.nameOf(id), u, pl.State))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

func (w *world) explain(u units.Name) string {
	e := plan.Explain(w.snap, w.opt, u, w.now)
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", e.Reason)
	for _, pl := range e.Placed {
		fmt.Fprintf(&b, "order %s %s: %s\n", pl.Name, pl.Order, pl.Reason)
	}
	for _, h := range e.Hosts {
		fmt.Fprintf(&b, "host %s fits=%t: %s\n", h.Name, h.Fits, h.Reason)
	}
	return b.String()
}
