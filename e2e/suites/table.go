package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// table prints one row a suite and says whether all is well.
func table(out io.Writer, results []result, took time.Duration) bool {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "\nSUITE\tTESTS\tFAILED\tSKIPPED\tSECONDS\tBUDGET\n")
	tests, failed, skipped := 0, 0, 0
	ok := len(results) > 0
	var notes []string
	for _, r := range results {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%.0f\t%.0f\n", r.name, r.tests, r.failed, len(r.skipped), r.took.Seconds(), r.budget.Seconds())
		if r.err != nil {
			ok = false
			notes = append(notes, fmt.Sprintf("%s: %v", r.name, r.err))
		}
		if r.tests == 0 && r.err == nil { // a filter that matches nothing must not look like success
			ok = false
			notes = append(notes, r.name+": no test ran")
		}
		for _, s := range r.skipped {
			notes = append(notes, "skipped "+s)
		}
		tests, failed, skipped = tests+r.tests, failed+r.failed, skipped+len(r.skipped)
	}
	fmt.Fprintf(w, "all\t%d\t%d\t%d\t%.0f\t\n", tests, failed, skipped, took.Seconds())
	_ = w.Flush() // stdout
	for _, n := range notes {
		fmt.Fprintln(out, n)
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", tests-failed-skipped, failed, skipped)
	return ok && failed == 0
}
