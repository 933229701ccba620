package agent

import "time"

// How much of a processor passes may use while changes come without end: a burst at once,
// then a part. A host with hundreds of units that start together would otherwise look at all of
// them again for each one that started.
const (
	paceBurst = 30 * time.Millisecond
	pacePart  = 8 // an eighth of the time
	paceRest  = 250 * time.Millisecond
)

// pace says how long to rest between passes. What comes meanwhile is seen by one pass.
type pace struct {
	debt time.Duration // of work not paid for by rest
	at   time.Time
}

// rest takes in how much work the last pass was and returns how long to rest, which is nothing
// unless there was much work lately.
func (p *pace) rest(work time.Duration, now time.Time) time.Duration {
	p.debt = max(p.debt-now.Sub(p.at)/pacePart, 0) + work
	p.at = now
	return min(max(p.debt-paceBurst, 0)*pacePart, paceRest)
}
