package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"flotilla/cluster"
)

// Message is what became of a reboot, or of all in one opening of a window, for who is told of it (RebootPolicy.Webhook).
type Message struct {
	Kind   string          `json:"kind"` // outcome or window
	Text   string          `json:"text"` // all of it in one line
	Record *cluster.Record `json:"record,omitempty"`
	Window *Summary        `json:"window,omitempty"`
}

// Summary is what one opening of a window came to, for the hosts of the groups that name it.
type Summary struct {
	Name  string    `json:"name"`
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
	Done  []string  `json:"done"`  // names of hosts that rebooted and are well
	Ended []Held    `json:"ended"` // whose reboots ended otherwise
	Held  []Held    `json:"held"`  // that were still to reboot, or rebooting, when it closed
}

// Held is a host that is not done, and why.
type Held struct {
	Name   string        `json:"name"`
	Phase  cluster.Phase `json:"phase"`
	Reason string        `json:"reason"`
}

// Untold is what is to be told next.
type Untold struct {
	To       string // the webhook
	Messages []Message
	Then     *cluster.Notified // to be noted when all were told; nil = nothing is to be noted
	Due      time.Time         // when there is more by the time alone; zero = with the snapshot only
}

// Times of messages about windows.
const (
	summaryDelay = 5 * time.Second    // after a window closed: the leader ends what did not come to it
	summaryReach = 7 * 24 * time.Hour // what closed longer ago than that is not summed up any more
	summaryFresh = 10 * time.Minute   // until then the cluster still is as the window left it
)

// NextMessages says what is to be told next: the outcomes that were recorded together, or one window's. Nothing is told
// of what was before there was a webhook.
func NextMessages(snap *cluster.Snapshot, opt Options, now time.Time) Untold {
	was, hook := snap.Notified, snap.Reboots.Webhook
	if hook == "" {
		if was.Record == 0 && len(was.Windows) == 0 && was.Lost == 0 {
			return Untold{}
		}
		return Untold{Then: &cluster.Notified{}}
	}
	next := was
	next.Record = cmp.Or(was.Record, snap.RebootsRev)
	next.Windows = map[cluster.GroupName]time.Time{}
	for name := range snap.Windows {
		next.Windows[name] = was.Windows[name]
		if next.Windows[name].IsZero() {
			next.Windows[name] = now
		}
	}
	if next.Record != was.Record || len(next.Windows) != len(was.Windows) || !maps.EqualFunc(next.Windows, was.Windows, time.Time.Equal) {
		return Untold{Then: &next}
	}
	if list := recordsAfter(snap, was.Record); len(list) > 0 {
		out := Untold{To: hook, Then: &next}
		for _, r := range list {
			out.Messages = append(out.Messages, Message{Kind: "outcome", Text: recordText(r), Record: r})
		}
		next.Record = list[0].Rev
		return out
	}
	return nextSummary(snap, opt, now, next)
}

// recordsAfter are the records of the first revision after rev, by host: what was written together is told together.
func recordsAfter(snap *cluster.Snapshot, rev int64) []*cluster.Record {
	var out []*cluster.Record
	for _, r := range snap.History {
		switch {
		case r.Rev <= rev || len(out) > 0 && r.Rev > out[0].Rev:
			continue
		case len(out) > 0 && r.Rev < out[0].Rev:
			out = nil
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *cluster.Record) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Generation, b.Generation))
	})
	return out
}

func recordText(r *cluster.Record) string {
	what := r.Outcome.String()
	if r.Unasked {
		what = "rebooted unasked"
	}
	out := fmt.Sprintf("%s: %s: %s", r.Name, what, cmp.Or(r.Reason, "no reason given"))
	if r.Cause != "" && !r.Unasked {
		out += " (" + r.Cause + ")"
	}
	return out
}

// nextSummary sums up the first window that closed, by name. next is written with it.
func nextSummary(snap *cluster.Snapshot, opt Options, now time.Time, next cluster.Notified) Untold {
	due := time.Time{}
	for _, name := range slices.Sorted(maps.Keys(snap.Windows)) {
		o, found := lastClosed(snap.Windows[name], next.Windows[name], now)
		if o.Until.IsZero() {
			continue
		}
		if at := o.Until.Add(summaryDelay); !found {
			if due.IsZero() || at.Before(due) {
				due = at
			}
			continue
		}
		next.Windows[name] = o.Until
		out := Untold{To: snap.Reboots.Webhook, Then: &next}
		if s := summary(snap, opt, name, o, now); len(s.Done)+len(s.Ended)+len(s.Held) > 0 {
			out.Messages = []Message{{Kind: "window", Text: s.text(), Window: &s}}
		}
		return out
	}
	return Untold{Due: due}
}

// lastClosed is the newest opening after a time that is over and not summed up; found is false for the first one that is
// still to close, and it is empty where none is.
func lastClosed(w *cluster.WindowHead, after, now time.Time) (o cluster.Opening, found bool) {
	if w.Bad != "" {
		return o, false
	}
	if first := now.Add(-summaryReach); after.Before(first) {
		after = first
	}
	for {
		list, err := w.Openings(after, 1)
		switch {
		case err != nil || len(list) == 0 || !list[0].Until.After(after):
			return o, found
		case now.Before(list[0].Until.Add(summaryDelay)):
			if !found {
				o = list[0]
			}
			return o, found
		}
		o, found, after = list[0], true, list[0].Until
	}
}

// summary is what an opening came to. Why hosts were held is asked as of just before it closed: after that all
// wait for the next one.
func summary(snap *cluster.Snapshot, opt Options, window cluster.GroupName, o cluster.Opening, now time.Time) Summary {
	s := Summary{Name: window, From: o.From, Until: o.Until, Done: []string{}, Ended: []Held{}, Held: []Held{}}
	in := func(groups []cluster.GroupName) bool {
		return slices.ContainsFunc(groups, func(g cluster.GroupName) bool {
			head := snap.Groups[g]
			return head != nil && slices.Contains(head.Windows, window)
		})
	}
	over := map[cluster.HostID]bool{}
	for _, r := range sortedRecords(snap) {
		if !in(r.Groups) || r.Unasked || r.Ended.Before(o.From) || !r.Began.Before(o.Until) {
			continue
		}
		over[r.Host] = true
		if r.Outcome == cluster.PhaseDone {
			s.Done = append(s.Done, r.Name)
			continue
		}
		s.Ended = append(s.Ended, Held{r.Name, r.Outcome, r.Reason})
	}
	at := now
	if now.Sub(o.Until) < summaryFresh {
		at = o.Until.Add(-time.Second)
	}
	for _, r := range Reboots(snap, opt, at) {
		if in(r.Groups) && !over[r.Host] && (r.Phase.Holds() || r.Phase <= cluster.PhaseFrozen || !r.Next.IsZero()) {
			s.Held = append(s.Held, Held{r.Name, r.Phase, r.Reason})
		}
	}
	slices.Sort(s.Done)
	s.Done = slices.Compact(s.Done)
	return s
}

// sortedRecords are the records as they came.
func sortedRecords(snap *cluster.Snapshot) []*cluster.Record {
	return slices.SortedFunc(maps.Values(snap.History), func(a, b *cluster.Record) int {
		return cmp.Or(cmp.Compare(a.Rev, b.Rev), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Generation, b.Generation))
	})
}

func (s Summary) text() string {
	out := []string{fmt.Sprintf("window %s of %s closed: %d done", s.Name, s.From.UTC().Format("2006-01-02 15:04 UTC"), len(s.Done))}
	for _, part := range []struct {
		word  string
		hosts []Held
	}{{"not done", s.Ended}, {"held", s.Held}} {
		if len(part.hosts) == 0 {
			continue
		}
		var said []string
		for _, h := range part.hosts[:min(len(part.hosts), maxNamed)] {
			said = append(said, fmt.Sprintf("%s %s: %s", h.Name, h.Phase, h.Reason))
		}
		if more := len(part.hosts) - len(said); more > 0 {
			said = append(said, fmt.Sprintf("and %d more", more))
		}
		out = append(out, fmt.Sprintf("%d %s (%s)", len(part.hosts), part.word, strings.Join(said, "; ")))
	}
	return strings.Join(out, ", ")
}
