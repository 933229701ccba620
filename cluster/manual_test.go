package cluster

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestTimesOfTheManual: docs/reboots.md says truly what happens when clocks change.
func TestTimesOfTheManual(t *testing.T) {
	raw, err := os.ReadFile("../docs/reboots.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{}
	for _, line := range strings.Split(string(raw), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 9 || !strings.Contains(cells[1], "/") {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		length, err := time.ParseDuration(cells[3])
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		after, err := time.Parse("2006-01-02 15:04", cells[4])
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		list, err := Window{Zone: cells[1], Calendar: cells[2], Duration: length}.Openings(after, 1)
		if err != nil || len(list) != 1 {
			t.Errorf("%s: Openings = %v, %v, want one", line, list, err)
			continue
		}
		const layout = "Mon 2006-01-02 15:04 MST"
		if from, until := list[0].From.Format(layout), list[0].Until.Format(layout); from != cells[5] || until != cells[6] {
			t.Errorf("%s\nopens %s, closes %s", line, from, until)
		}
		rows[cells[1]]++
	}
	if rows["Europe/Berlin"] < 10 || rows["America/New_York"] < 6 {
		t.Errorf("docs/reboots.md has %v times of windows: is its table still there?", rows)
	}
}
