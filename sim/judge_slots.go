package sim

import (
	"slices"
	"time"

	"flotilla/cluster"
)

// mayGo checks slots, windows and freezes of one more host.
func (c *commit) mayGo(id cluster.HostID, g cluster.Grant, counts func(*facts) bool) {
	j, f := c.j, c.j.fact(id)
	for _, name := range j.groupsOf(f) {
		group := j.groups[name]
		size, taken := 0, []string{}
		for _, o := range j.hosts {
			if !slices.Contains(j.groupsOf(o), name) {
				continue
			}
			if o.info.Name != "" && o.spec.Removed == nil {
				size++
			}
			if o.id == id || counts(o) || j.unplanned(o) {
				taken = append(taken, o.id.Short()+" "+o.phase().String())
				if o.id != id && sameDomain(f, o, group.Spread) {
					j.breach("%s is %s beside %s, which is %s: both are of one %s of group %s", id.Short(), g.Phase, o.id.Short(), o.phase(), group.Spread, name)
				}
			}
		}
		if most := group.Max.Of(size); len(taken) > most {
			slices.Sort(taken)
			j.breach("%s is %s: then %d hosts of group %s are away, and %d may be: %v", id.Short(), g.Phase, len(taken), name, most, taken)
		}
		if !g.Now && group.Freeze != nil && group.Freeze.Until.IsZero() {
			j.breach("%s is %s and its group %s is frozen", id.Short(), g.Phase, name)
		}
	}
	if !g.Now && (j.policy.Freeze != nil && j.policy.Freeze.Until.IsZero() || f.spec.Freeze != nil && f.spec.Freeze.Until.IsZero()) {
		j.breach("%s is %s and frozen", id.Short(), g.Phase)
	}
	if why := j.outside(f, g, time.Now().Add(j.leaderClock())); why != "" {
		j.breach("%s is %s, and %s", id.Short(), g.Phase, why)
	}
}

// sameDomain says that two hosts have the same value of a label.
func sameDomain(a, b *facts, label string) bool {
	mine, ok := a.labels()[label]
	theirs, also := b.labels()[label]
	return ok && also && mine == theirs
}

// labels are those of the host, its own ones and those that operators gave it.
func (f *facts) labels() map[string]string {
	h := cluster.Host{Spec: f.spec, Info: &f.info}
	return h.Labels()
}

// unplanned says that a host is away, or going, without a grant, and that every leader knows.
func (j *Judge) unplanned(f *facts) bool {
	if f.holds() || f.info.Name == "" || f.spec.Removed != nil {
		return false
	}
	if f.phase() == cluster.PhaseReleased && f.alive == 0 {
		return false // the others may go on without it
	}
	return f.alive == 0 && j.long(f.absent, reaction) || f.alive != 0 && !f.down.IsZero() && j.long(f.down, reaction)
}

// groupsOf are the groups of a host and those that it had when its reboot began.
func (j *Judge) groupsOf(f *facts) []string {
	labels := f.labels()
	var out []string
	for name, s := range j.selectors {
		if name != cluster.DefaultGroup && s.Match(labels) {
			out = append(out, name)
		}
	}
	if len(out) == 0 {
		out = append(out, cluster.DefaultGroup)
	}
	if f.holds() {
		for _, name := range f.grant.Groups {
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// leaderClock is how far the clock of who leads goes ahead of the true time.
func (j *Judge) leaderClock() time.Duration {
	if ahead := j.clockOf[j.leader.host]; ahead != nil {
		return ahead()
	}
	return 0
}

// outside says which window of a host's groups is closed at a time of some clock, "" if none is, or none counts.
func (j *Judge) outside(f *facts, g cluster.Grant, now time.Time) string {
	if g.Now {
		return ""
	}
	finish := true
	for _, name := range g.Groups {
		finish = finish && j.groups[name].Finish
	}
	if finish && g.Phase != cluster.PhaseDraining {
		return ""
	}
	for _, name := range j.groupsOf(f) {
		group := j.groups[name]
		if len(group.Windows) == 0 {
			if g.Need && f.spec.Reboot == nil {
				return "its group " + name + " has no window, and nobody asked"
			}
			continue
		}
		if !slices.ContainsFunc(group.Windows, func(w string) bool { return j.open(w, now) }) {
			return "no window of group " + name + " is open at " + now.UTC().Format("15:04:05")
		}
	}
	return ""
}

// open says whether a window is open at a time.
func (j *Judge) open(name string, at time.Time) bool {
	w, ok := j.windows[name]
	if !ok {
		return false
	}
	list, err := w.Openings(at.Add(-time.Second), 1) // leaders decide a moment before they write
	return err == nil && len(list) > 0 && !list[0].From.After(at)
}
