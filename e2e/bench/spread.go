package main

import (
	"fmt"
	"slices"
	"time"
)

// spread is what several measurements of one thing gave.
type spread struct{ min, median, max time.Duration }

func spreadOf(all []time.Duration) spread {
	sorted := slices.Sorted(slices.Values(all))
	if len(sorted) == 0 {
		return spread{}
	}
	return spread{sorted[0], sorted[len(sorted)/2], sorted[len(sorted)-1]}
}

// String shows the median with the extremes beside it.
func (s spread) String() string {
	return fmt.Sprintf("%s (%s–%s)", brief(s.median), brief(s.min), brief(s.max))
}

// brief is a duration as a person says it.
func brief(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
