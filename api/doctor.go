package api

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"flotilla/cluster"
)

// Ailment is something that a person should mend.
type Ailment struct {
	Thing string `json:"thing"`          // a host's name, "group NAME", "window NAME" or "cluster"
	Host  string `json:"host,omitempty"` // machine id, of a host's
	Text  string `json:"text"`           // what is wrong, one sentence
	Mend  string `json:"mend"`           // a command, or what to do
}

// doctor answers GET /v1/doctor, hosts by name and then what is not a host's; ?host=HOST only what concerns that one.
func (s *Server) doctor(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	for key := range q {
		if key != "host" {
			s.fail(w, Refuse(http.StatusBadRequest, "see docs/api.md", "unknown parameter %q", key))
			return
		}
	}
	only := cluster.HostID("")
	if word := q.Get("host"); word != "" {
		h, err := s.findHost(r.Context(), word)
		if err != nil {
			s.fail(w, err)
			return
		}
		only = cluster.HostID(h.ID)
	}
	var found []Ailment
	var err error
	s.opt.Mirror.Read(func(c *cluster.Snapshot) {
		if !c.Complete {
			err = incomplete()
			return
		}
		found = ailments(c, s.plans.at(c, s.opt).reboots, only, s.opt.Now())
	})
	if err != nil {
		s.fail(w, err)
		return
	}
	out := newStream(w)
	for _, a := range found {
		if out.send(a) != nil {
			return
		}
	}
}

// examination collects ailments.
type examination struct {
	c     *cluster.Snapshot
	view  rebootsView
	now   time.Time
	found []Ailment
}

// ailments are what a person should mend, of all or of one host with its groups.
func ailments(c *cluster.Snapshot, view rebootsView, only cluster.HostID, now time.Time) []Ailment {
	x := &examination{c: c, view: view, now: now}
	in := cluster.NewMembership(c).Members(c)
	of := map[cluster.HostID][]cluster.GroupName{}
	for _, name := range slices.Sorted(maps.Keys(in)) {
		for _, h := range in[name] {
			of[h.ID] = append(of[h.ID], name)
		}
	}
	for _, r := range view.hosts {
		if h := c.Hosts[r.Host]; h != nil && (only == "" || only == r.Host) {
			x.host(h, r)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Groups)) {
		if only == "" || slices.Contains(of[only], name) {
			x.group(c.Groups[name], in[name])
		}
	}
	x.contradictions(of, only)
	if only == "" {
		x.windows()
	}
	x.policy()
	return x.found
}

func (x *examination) add(thing, mend, format string, args ...any) {
	x.found = append(x.found, Ailment{Thing: thing, Text: fmt.Sprintf(format, args...), Mend: mend})
}

// leastDelay is how long logind has to wait for us when somebody types reboot: less is not enough to give units away.
const leastDelay = 30 * time.Second

func (x *examination) host(h *cluster.Host, r HostReboot) {
	begin, name := len(x.found), h.Name()
	if rep := (cluster.RebootReport{}); h.Info != nil && h.Info.Reboot != nil {
		rep = *h.Info.Reboot
		for _, rival := range rep.Rivals {
			x.add(name, rival.Mend, "%s may reboot it without asking: %s", rival.Name, rival.Why)
		}
		if rep.Problem != "" {
			x.add(name, "mend the section reboot of /etc/flotilla/flotilla.json there, then systemctl restart flotilla-agent", "%s", rep.Problem)
		}
		if rep.Delay > 0 && rep.Delay < leastDelay {
			x.add(name, "systemctl reload systemd-logind there; if that does not help, another file of /etc/systemd/logind.conf.d has the last word: systemd-analyze cat-config systemd/logind.conf",
				"logind waits only %s when somebody types reboot, %s are needed to give units away (InhibitDelayMaxSec)", rep.Delay, leastDelay)
		}
		if rep.Skew != 0 {
			x.add(name, "timedatectl set-ntp true there; timedatectl status tells whether it is in step", "its clock is %s the leader's: it gets no grant", skewText(rep.Skew))
		}
	}
	switch {
	case h.GrantBad != "":
		x.add(name, "flotilla reboot unlock "+name+" --reason …", "its grant cannot be read, and holds a slot: %s", h.GrantBad)
	case r.Phase == cluster.PhaseOverdue:
		x.add(name, "start it; when it is given up: flotilla reboot unlock "+name+" --reason …", "overdue: %s", h.Grant.Reason)
	case r.Phase == cluster.PhaseLoop:
		x.add(name, "mend what needs the reboot; then flotilla reboot "+name+", or flotilla reboot unlock "+name+" --reason …", "it reboots again and again: %s", r.Reason)
	case r.Halts:
		x.add(name, "flotilla explain "+name+"; when it is well enough: flotilla reboot unlock "+name+" --reason …", "%s, and its groups begin nothing else: %s", r.Phase, r.Reason)
	case r.Phase == cluster.PhaseBlocked:
		x.add(name, "flotilla explain "+name+", then flotilla reboot "+name, "blocked: %s", r.Reason)
	case r.Phase == cluster.PhaseFailed:
		x.add(name, "mend that, then flotilla reboot "+name, "failed: %s", r.Reason)
	}
	x.freeze(name, "flotilla reboot thaw --host "+name, h.Spec.Freeze)
	for i := range x.found[begin:] {
		x.found[begin+i].Host = string(h.ID)
	}
}

// skewText says how far a clock is from the leader's.
func skewText(d time.Duration) string {
	if d < 0 {
		return (-d).Round(time.Second).String() + " behind"
	}
	return d.Round(time.Second).String() + " ahead of"
}

// frozenLong is how long a freeze without an end may last before it looks forgotten.
const frozenLong = 14 * 24 * time.Hour

func (x *examination) freeze(thing, thaw string, f *cluster.Freeze) {
	if f.Holds(x.now) && f.Until.IsZero() && x.now.Sub(f.By.When) > frozenLong {
		x.add(thing, thaw, "frozen by %s since %s, without an end: %s", f.By.Who, clock(f.By.When), cmp.Or(f.By.Why, "no reason given"))
	}
}

func (x *examination) group(g *cluster.GroupHead, hosts []*cluster.Host) {
	thing := "group " + g.Name
	if why := g.Unusable(); why != "" {
		x.add(thing, "set it again, or remove it", "it cannot be used, and no host begins to reboot: %s", why)
		return
	}
	if len(hosts) == 0 && g.Name != cluster.DefaultGroup {
		x.add(thing, "flotilla list-machines -o wide shows the labels that there are", "no host has the labels %s", cmp.Or(g.Selector, "(all)"))
	}
	for _, name := range g.Windows {
		if x.c.Windows[name] == nil {
			x.add(thing, "make the window, or leave it out of the group", "it names the window %s, which does not exist", name)
		}
	}
	if g.Max.Given && g.Max.N == 0 {
		x.add(thing, "raise its max", "its max is 0: none of its %s can reboot", count(len(hosts), "host"))
	}
	x.freeze(thing, "flotilla reboot thaw --group "+g.Name, g.Freeze)
}

// windows looks for windows that cannot be used, open no more, or serve nobody.
func (x *examination) windows() {
	used := map[cluster.GroupName]bool{}
	for _, g := range x.c.Groups {
		for _, name := range g.Windows {
			used[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(x.c.Windows)) {
		w := x.c.Windows[name]
		next, err := w.Openings(x.now, 1)
		switch {
		case w.Bad != "" || err != nil:
			x.add("window "+name, "set it again, or remove it", "it never opens: %s", cmp.Or(w.Bad, fmt.Sprint(err)))
		case len(next) == 0:
			x.add("window "+name, "set it again, or remove it", "it opens no more")
		case !used[name]:
			x.add("window "+name, "name it in a group, or remove it", "no group names it: nothing reboots in it")
		}
	}
}

func (x *examination) policy() {
	x.freeze("cluster", "flotilla reboot thaw", x.c.Reboots.Freeze)
	if n := x.c.Notified; n.Trouble != "" && x.c.Reboots.Webhook != "" {
		x.add("cluster", "mend it, or flotilla reboot webhook --off", "the webhook did not take %s, the newest at %s: %s", count(n.Lost, "message"), clock(n.Since), n.Trouble)
	}
}

// contradictions looks for hosts that belong to several groups which never let them reboot together.
func (x *examination) contradictions(of map[cluster.HostID][]cluster.GroupName, only cluster.HostID) {
	alike := map[string][]string{} // names of hosts, by their groups
	for _, h := range x.c.KnownHosts() {
		if groups := of[h.ID]; len(groups) > 1 && (only == "" || only == h.ID) {
			key := strings.Join(groups, " ")
			alike[key] = append(alike[key], h.Name())
		}
	}
	for _, key := range slices.Sorted(maps.Keys(alike)) {
		groups := strings.Split(key, " ")
		why := x.neverTogether(groups)
		if why == "" {
			continue
		}
		slices.Sort(alike[key])
		x.add(someOf(alike[key]), "give these groups a common window, or leave the hosts out of one of them", "in the groups %s: %s", strings.Join(groups, ", "), why)
	}
}

// openingsAhead is how many openings of each window are looked at for a common one.
const openingsAhead = 100

// neverTogether says why groups never let a host of theirs reboot by itself; "" = they do, or none of them means to.
func (x *examination) neverTogether(groups []cluster.GroupName) string {
	var with, without []string
	common := []cluster.Opening{{From: x.now, Until: x.now.AddDate(100, 0, 0)}}
	for _, name := range groups {
		g := x.c.Groups[name]
		if g == nil || len(g.Windows) == 0 {
			without = append(without, name)
			continue
		}
		with = append(with, name)
		var open []cluster.Opening
		for _, w := range g.Windows {
			if head := x.c.Windows[w]; head != nil && head.Bad == "" {
				list, err := head.Openings(x.now, openingsAhead)
				if err == nil {
					open = append(open, list...)
				}
			}
		}
		common = overlaps(common, open)
	}
	switch {
	case len(with) == 0:
		return ""
	case len(without) > 0:
		return fmt.Sprintf("%s has windows and %s has none, so that they never reboot by themselves", with[0], without[0])
	case len(common) == 0:
		return "their windows are never open at the same time, so that they never reboot by themselves"
	}
	return ""
}

// overlaps are the times that are in one of each.
func overlaps(a, b []cluster.Opening) []cluster.Opening {
	var out []cluster.Opening
	for _, x := range a {
		for _, y := range b {
			from, until := x.From, x.Until
			if y.From.After(from) {
				from = y.From
			}
			if y.Until.Before(until) {
				until = y.Until
			}
			if from.Before(until) {
				out = append(out, cluster.Opening{From: from, Until: until})
			}
		}
	}
	return out
}
