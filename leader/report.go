package leader

import (
	"time"

	"flotilla/cluster"
	"flotilla/leader/plan"
)

// Report is what this candidate last knew. Waiting, Reboots, Storm and Absent are those of the
// newest plan and empty while it does not lead.
type Report struct {
	Leading bool
	Term    cluster.Term // the present or the last one
	Since   time.Time    // when the term began
	Planned time.Time    // when the newest plan was made
	Waiting []plan.Refusal
	Reboots []plan.HostReboot
	Storm   *plan.Storm
	Absent  int   // hosts that are known, absent and not removed
	Err     error // why this candidate cannot lead or write at the moment
}

// Latest is the newest report. What it refers to is never changed.
func (l *Loop) Latest() Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.latest
}

// begin and end mark a term. The error of the time before stays until a plan succeeds.
func (l *Loop) begin(term cluster.Term) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.latest = Report{Leading: true, Term: term, Since: l.clock(), Err: l.latest.Err}
}

func (l *Loop) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.latest = Report{Term: l.latest.Term, Since: l.latest.Since, Err: l.latest.Err}
}

// publish makes a plan's outcome known and logs when the storm brake takes hold or lets go.
func (l *Loop) publish(term cluster.Term, res *plan.Result) {
	l.metrics.absent.Set(float64(res.Absent))
	l.metrics.waiting.Set(float64(len(res.Waiting)))
	l.watch(res.Reboots)
	l.mu.Lock()
	had := l.latest.Storm
	l.latest.Planned = l.clock()
	l.latest.Waiting, l.latest.Reboots, l.latest.Storm, l.latest.Absent = res.Waiting, res.Reboots, res.Storm, res.Absent
	if len(res.Decisions) == 0 {
		l.latest.Err = nil
	}
	l.mu.Unlock()
	switch {
	case res.Storm != nil && had == nil:
		l.log.Error(res.Storm.String(), "term", term.Revision, "absent", len(res.Storm.Hosts), "known", res.Storm.Known)
	case res.Storm == nil && had != nil:
		l.log.Info("failover goes on", "term", term.Revision)
	}
}

// trouble publishes an error and logs it when it is a new one.
func (l *Loop) trouble(err error) {
	l.mu.Lock()
	known := l.latest.Err != nil && l.latest.Err.Error() == err.Error()
	l.latest.Err = err
	l.mu.Unlock()
	if !known {
		l.log.Warn("cannot lead for now", "err", err)
	}
}
