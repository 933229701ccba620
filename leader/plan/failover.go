package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"flotilla/cluster"
)

// ResumeCommand lets failover go on although many hosts are absent.
const ResumeCommand = "flotilla failover resume"

// maxNamed is how many hosts a storm's sentence names.
const maxNamed = 5

// Storm is the brake: so many hosts are absent that the fault may be on our side.
// Nobody is failed over until fewer are absent or an operator resumes.
type Storm struct {
	Hosts   []cluster.HostID `json:"hosts"` // absent, by id
	Names   []string         `json:"names"`
	Known   int              `json:"known"` // hosts that were counted
	Since   time.Time        `json:"since"` // when the first of them went
	Command string           `json:"command"`
}

// String is the storm in one sentence.
func (s *Storm) String() string {
	names := s.Names
	more := ""
	if len(names) > maxNamed {
		names, more = names[:maxNamed], fmt.Sprintf(" and %d more", len(names)-maxNamed)
	}
	return fmt.Sprintf("failover is paused: %d of %d hosts are absent (%s%s) since %s; bring them back, or type: %s",
		len(s.Hosts), s.Known, strings.Join(names, ", "), more, clock(s.Since), s.Command)
}

// clock is an instant as sentences show it.
func clock(t time.Time) string { return t.UTC().Format("15:04:05 UTC") }

// judge looks at all absent hosts together. Hosts that are still only suspect count for
// the brake. Hosts that went before the operator's last resume do not, and neither do those that are drained or
// on their way through a reboot: that they go is no news.
func (p *planner) judge() {
	storm := Storm{Command: ResumeCommand}
	dueOne := false
	p.believe()
	for _, h := range p.hosts {
		if h.known && !h.removed && !excused(h.Host) {
			storm.Known++
		}
		if h.Alive != nil {
			continue
		}
		h.due = h.removed || !p.now.Before(h.believed)
		if !h.known && len(h.Placed) == 0 {
			continue
		}
		if !h.due && (p.next.IsZero() || h.believed.Before(p.next)) {
			p.next = h.believed
		}
		if h.removed {
			continue
		}
		dueOne = dueOne || h.due && !p.resumed(h)
		if !h.known {
			continue
		}
		p.absent++
		if excused(h.Host) {
			continue
		}
		if p.resumed(h) {
			storm.Known--
			continue
		}
		storm.Hosts, storm.Names = append(storm.Hosts, h.ID), append(storm.Names, h.Name())
		if since := p.since(h); storm.Since.IsZero() || since.Before(storm.Since) {
			storm.Since = since
		}
	}
	braked := !p.opt.StormOff && len(storm.Hosts) >= p.opt.StormMin &&
		float64(len(storm.Hosts)) > p.opt.StormFraction*float64(storm.Known)+1e-9
	for _, h := range p.hosts {
		h.gone = h.Alive == nil && h.due && (!braked || h.removed || p.resumed(h))
	}
	if braked && dueOne {
		p.storm = &storm
	}
}

// since is from when on this process knows the host to be absent.
func (p *planner) since(h *host) time.Time {
	if h.Absent.IsZero() {
		return p.snap.Watched
	}
	return h.Absent
}

// believe settles from when on each absence may be acted on. Where the watch saw it
// begin, that is one renewal interval later, so that others that went with it are
// counted. Leases of hosts that died together end within a renewal interval and what
// etcd takes to notice: who goes within two renewal intervals of the first is judged
// with it, or at once when it has been. An absence that nobody saw begin is believed
// after a whole TTL of watching; that of a host that reboots when it is overdue.
func (p *planner) believe() {
	var seen []*host
	for _, h := range p.hosts {
		until, onLeave := p.onLeave(h)
		switch since := p.since(h); {
		case h.Alive != nil:
		case onLeave:
			h.believed = until
		case h.AbsentRev != 0 && !since.Before(p.snap.Watched):
			seen = append(seen, h)
		case since.Before(p.snap.Watched):
			h.believed = p.snap.Watched.Add(p.opt.Timing.TTL)
		default:
			h.believed = since.Add(p.opt.Timing.TTL)
		}
	}
	slices.SortFunc(seen, func(a, b *host) int { return a.Absent.Compare(b.Absent) })
	var first time.Time
	for _, h := range seen {
		if first.IsZero() || h.Absent.Sub(first) > 2*p.opt.Suspect {
			first = h.Absent
		}
		h.believed = first.Add(p.opt.Suspect)
		if h.believed.Before(h.Absent) {
			h.believed = h.Absent
		}
	}
}

// resumed says that an operator let failover go on after this host went.
func (p *planner) resumed(h *host) bool {
	went := h.AbsentRev
	if went == 0 {
		went = p.snap.Loaded
	}
	return p.snap.Resumed > went
}

// failover moves a unit off its absent host. Where nothing fits it stays placed
// there: it is still the unit's home should the host return.
func (p *planner) failover(u cluster.Unit) {
	head := p.snap.Units[u]
	from := p.liveHosts(u)[0]
	to, _, why := p.choose(head)
	if why != "" {
		p.refuse(u, from.ID, "%s; %s", absence(p, from), why)
		p.forget(u, nil)
		return
	}
	old := from.Placed[u]
	reason := absence(p, from)
	o := p.orders(head, to, reason)
	o.If = append(o.If, aliveAt(from), placedAt(u, from))
	if len(o.If) > maxConditions {
		p.refuse(u, from.ID, "%s; %s", reason, tooMany(o))
		p.forget(u, nil)
		return
	}
	if from.removed {
		o.Delete = append(o.Delete, cluster.Where{Host: from.ID, Unit: u})
		p.release(u, from)
	} else {
		o.Put = append(o.Put, p.tombstone(old, reason))
		p.occupy(u, from, cluster.Gone)
	}
	p.occupy(u, to, p.want(head, nil).State)
	p.placed[u] = true
	p.decide(Move, u, to.ID, from.ID, reason, o)
	p.forget(u, to)
}

// absence says of an absent host what is known.
func absence(p *planner, h *host) string {
	if h.removed {
		return fmt.Sprintf("host %s was removed", h.Name())
	}
	if _, ok := p.onLeave(h); ok {
		return fmt.Sprintf("host %s reboots, and is away since %s", h.Name(), clock(p.since(h)))
	}
	return fmt.Sprintf("host %s is absent since %s", h.Name(), clock(p.since(h)))
}
