package plan

import (
	"cmp"
	"slices"
	"time"

	"flotilla/cluster"
)

// mostRecords is how many outcomes the history keeps of each host.
const mostRecords = 20

// move takes a host's reboot to another phase.
func (c *coordinator) move(h *host, to cluster.Phase, reason string, rests ...cluster.Condition) {
	next := *h.Grant
	next.Phase = to
	next.Empty = next.Empty || to == cluster.PhaseDrained
	c.write(h, next, reason, rests...)
}

// write says something new of a host's reboot. It rests on what the plan saw of the host and of what operators
// said, and on more where that is given.
func (c *coordinator) write(h *host, next cluster.Grant, reason string, rests ...cluster.Condition) {
	if h.Grant == nil || h.Grant.Phase != next.Phase || h.Grant.Generation != next.Generation {
		next.Since = c.stamp()
	}
	next.Reason = reason
	c.grants(h, reason, cluster.Orders{Grants: []cluster.HostGrant{{Host: h.ID, Grant: &next}}}, rests)
}

// end ends a host's reboot: its slot is free, and the history has the outcome. pause is how long until the host
// is tried again by itself, if it is to.
func (c *coordinator) end(h *host, outcome cluster.Phase, reason string, pause time.Duration, rests ...cluster.Condition) {
	if h.Grant == nil { // nobody can say what it was about
		c.grants(h, reason, cluster.Orders{Grants: []cluster.HostGrant{{Host: h.ID}}}, rests)
		return
	}
	next := *h.Grant
	next.Phase, next.Reason, next.Since, next.Pause = outcome, reason, c.stamp(), pause
	record := cluster.Record{
		Host: h.ID, Name: h.Name(), Generation: next.Generation, Groups: next.Groups, Outcome: outcome, Cause: next.Cause,
		Reason: reason, Began: next.Began, Ended: next.Since, Away: next.Away.Seconds(), Boot: next.Boot,
	}
	c.grants(h, reason, cluster.Orders{
		Grants: []cluster.HostGrant{{Host: h.ID, Grant: &next}}, Records: []cluster.Record{record}, Trim: c.trim(&record),
	}, rests)
}

// grants decides about one host's reboot, once in a plan.
func (c *coordinator) grants(h *host, reason string, o cluster.Orders, rests []cluster.Condition) {
	c.decided[h] = true
	o.If = append([]cluster.Condition{h.grantAt(), aliveAt(h), c.hostsAt()}, rests...)
	c.decide(Grant, "", h.ID, "", reason, o)
}

// stamp is the leader's clock as others are shown it.
func (c *coordinator) stamp() time.Time { return c.now.Round(0).UTC() }

func (h *host) grantAt() cluster.Condition {
	return cluster.Condition{Kind: cluster.GrantAt, Host: h.ID, Revision: h.GrantRev}
}

func (h *host) bootingAt() cluster.Condition {
	return cluster.Condition{Kind: cluster.BootingAt, Host: h.ID, Revision: h.BootingRev}
}

// history are the records of a host, the oldest first.
func (c *coordinator) history(id cluster.HostID) []*cluster.Record {
	if c.histories == nil {
		c.histories = map[cluster.HostID][]*cluster.Record{}
		for k, r := range c.snap.History {
			c.histories[k.Host] = append(c.histories[k.Host], r)
		}
		for _, list := range c.histories {
			slices.SortFunc(list, func(a, b *cluster.Record) int {
				return cmp.Or(cmp.Compare(a.Generation, b.Generation))
			})
		}
	}
	return c.histories[id]
}

// trim names the oldest records of a host that leave the history for a new one. The one of the host's present
// boot stays, so that it is not written again.
func (c *coordinator) trim(next *cluster.Record) []cluster.HistoryKey {
	var out []cluster.HistoryKey
	list := c.history(next.Host)
	n := len(list)
	for _, r := range list {
		if n < mostRecords {
			break
		}
		if r.Generation == next.Generation || r.Unasked && c.unasked(c.byID[next.Host], r) {
			continue
		}
		out = append(out, cluster.HistoryKey{Host: next.Host, Generation: r.Generation})
		n--
	}
	return out
}

// unasked says that a record is about the end of the boot before the host's present one.
func (c *coordinator) unasked(h *host, r *cluster.Record) bool {
	last := h.lastBoot()
	return last != nil && r.Boot == last.Before
}

// lastBoot is how a host's present boot came about if nobody had granted it, else nil.
func (h *host) lastBoot() *cluster.LastBoot {
	r := h.report()
	if r == nil || r.Last == nil || r.Last.How == "granted" || r.Last.Before.ID == "" {
		return nil
	}
	return r.Last
}

// recordUnasked puts boots into the history that nobody had granted, each once.
func (c *coordinator) recordUnasked() {
	for _, h := range c.hosts {
		last := h.lastBoot()
		if last == nil || h.removed || c.decided[h] {
			continue
		}
		if slices.ContainsFunc(c.history(h.ID), func(r *cluster.Record) bool { return r.Unasked && c.unasked(h, r) }) {
			continue
		}
		cause, reason := "unexpected", "it went down without a word: power, kernel, or a forced reboot"
		if last.How == "typed" {
			cause, reason = "typed", "somebody rebooted it on the host"
		}
		record := cluster.Record{
			Host: h.ID, Name: h.Name(), Generation: c.snap.Revision, Groups: c.groupNames(h), Outcome: cluster.PhaseDone,
			Cause: cause, Reason: reason, Began: c.stamp(), Ended: c.stamp(), Unasked: true, Boot: last.Before,
		}
		c.grants(h, reason, cluster.Orders{Records: []cluster.Record{record}, Trim: c.trim(&record)}, nil)
	}
}

// groupNames are the groups of a host, by name.
func (c *coordinator) groupNames(h *host) []string {
	if c.fallback == nil {
		c.muster()
	}
	return names(c.teamsOf(h))
}
