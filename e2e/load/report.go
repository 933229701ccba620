package load

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// maxSamples is how many failures a report shows.
const maxSamples = 5

// Report says what became of requests.
type Report struct {
	Sent    int
	OK      int
	Failed  map[Kind]int
	Seconds []Second       // by the second in which a request was due, from the start
	By      map[string]int // those that went well, by address
	Samples []string       // the first failures, in words

	took []time.Duration // of those that were answered, from when they were due
}

// Second counts the requests that were due in one second.
type Second struct{ Sent, OK int }

// outcome is what became of one request.
type outcome struct {
	request
	second   int
	took     time.Duration
	answered bool
	err      error
}

func (r *Report) add(o outcome) {
	for len(r.Seconds) <= o.second {
		r.Seconds = append(r.Seconds, Second{})
	}
	r.Sent++
	r.Seconds[o.second].Sent++
	if o.answered {
		r.took = append(r.took, o.took)
	}
	if o.err == nil {
		if r.By == nil {
			r.By = map[string]int{}
		}
		r.OK++
		r.By[o.address]++
		r.Seconds[o.second].OK++
		return
	}
	if r.Failed == nil {
		r.Failed = map[Kind]int{}
	}
	kind := kindOf(o.err)
	r.Failed[kind]++
	if len(r.Samples) < maxSamples {
		how := "new"
		if o.kept {
			how = "kept"
		}
		r.Samples = append(r.Samples, fmt.Sprintf("%s: second %d, %s over a %s connection, after %s: %v", kind, o.second, o.address, how, o.took.Round(time.Millisecond), o.err))
	}
}

func (r *Report) clone() Report {
	out := *r
	out.Failed, out.By = maps.Clone(r.Failed), maps.Clone(r.By)
	out.Seconds, out.Samples, out.took = slices.Clone(r.Seconds), slices.Clone(r.Samples), slices.Clone(r.took)
	slices.Sort(out.took)
	return out
}

// Failures counts the requests that did not go well, of all kinds.
func (r Report) Failures() int { return r.Sent - r.OK }

// Latency is the time within which a share (0 to 1) of the answers came; 1 is the slowest.
func (r Report) Latency(share float64) time.Duration {
	if len(r.took) == 0 {
		return 0
	}
	return r.took[min(int(share*float64(len(r.took))), len(r.took)-1)]
}

// String is the report in one line.
func (r Report) String() string {
	var kinds []string
	for _, k := range slices.Sorted(maps.Keys(r.Failed)) {
		kinds = append(kinds, fmt.Sprintf("%d %s", r.Failed[k], k))
	}
	failed := fmt.Sprintf("failed: %d", r.Failures())
	if len(kinds) > 0 {
		failed += " (" + strings.Join(kinds, ", ") + ")"
	}
	ms := func(d time.Duration) int64 { return d.Milliseconds() }
	return fmt.Sprintf("%d requests, %s, p50 %d ms, p99 %d ms, max %d ms", r.Sent, failed, ms(r.Latency(0.5)), ms(r.Latency(0.99)), ms(r.Latency(1)))
}
