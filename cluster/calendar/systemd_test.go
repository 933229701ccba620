package calendar

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "write what systemd-analyze says into testdata/systemd.txt")

const (
	table   = "testdata/systemd.txt"
	layout  = "2006-01-02 15:04:05"
	elapses = 5 // of each expression
)

// entry is a line of the table: an expression, when and where it is asked about, and what systemd says:
// the normalized form and the next elapses in UTC, or that it refuses the expression.
type entry struct {
	text, base, zone string
	says             string
}

func (e entry) String() string {
	return strings.Join([]string{strconv.Quote(e.text), e.base, e.zone, e.says}, "\t")
}

const refused = "refused"

func readTable(t *testing.T) (head string, entries []entry) {
	t.Helper()
	b, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		if strings.HasPrefix(line, "#") {
			head += line + "\n"
			continue
		}
		words := strings.SplitN(line, "\t", 4)
		text, err := strconv.Unquote(words[0])
		if err != nil || len(words) < 3 {
			t.Fatalf("%s:%d: want a quoted expression, a time and a zone, with tabs between", table, i+1)
		}
		words = append(words, "")
		entries = append(entries, entry{text, words[1], words[2], words[3]})
	}
	return head, entries
}

// ask is what our parser says of an expression, in the words of the table.
func ask(text, base, zone string) (string, error) {
	at, err := time.Parse(layout, base)
	if err != nil {
		return "", err
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return "", err
	}
	e, err := Parse(text)
	if err != nil {
		return refused, nil
	}
	says := []string{e.String()}
	for range elapses {
		next, ok := e.Next(at, loc)
		if !ok {
			break
		}
		says = append(says, next.UTC().Format(layout))
		at = next
	}
	return strings.Join(says, "\t"), nil
}

// askSystemd is what systemd-analyze says.
func askSystemd(tool, text, base, zone string) (string, error) {
	cmd := exec.Command(tool, "calendar", "--base-time="+base+" UTC", "--iterations="+strconv.Itoa(elapses), "--", text)
	cmd.Env = append(os.Environ(), "TZ="+zone, "LC_ALL=C", "SYSTEMD_COLORS=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		if strings.Contains(string(out), "Failed to parse calendar specification") {
			return refused, nil
		}
		return "", fmt.Errorf("%w: %s", err, out)
	}
	var says []string
	for _, line := range strings.Split(string(out), "\n") {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch key = strings.TrimSpace(key); {
		case key == "Normalized form":
			says = []string{value}
		case key == "(in UTC)":
			says[len(says)-1] = inUTC(value)
		case (key == "Next elapse" || strings.HasPrefix(key, "Iter. #")) && value != "never":
			says = append(says, inUTC(value))
		}
	}
	return strings.Join(says, "\t"), nil
}

// inUTC strips "Sat 2026-01-10 02:00:00 UTC" of what stands in all of them.
func inUTC(s string) string {
	_, s, _ = strings.Cut(s, " ")
	return strings.TrimSuffix(s, " UTC")
}

// The table is what systemd-analyze says; go test -rewrite asks it anew.
func TestTableOfSystemd(t *testing.T) {
	_, entries := readTable(t)
	if len(entries) < 200 {
		t.Errorf("%d expressions are in %s, want 200 at least", len(entries), table)
	}
	for _, e := range entries {
		got, err := ask(e.text, e.base, e.zone)
		if err != nil || got != e.says {
			t.Errorf("%q after %s in %s:\n got %s, %v\nwant %s", e.text, e.base, e.zone, got, err, e.says)
		}
	}
}

func TestSystemdSaysSo(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze on this machine; TestTableOfSystemd compares with what it said elsewhere")
	}
	head, entries := readTable(t)
	for i, e := range entries {
		says, err := askSystemd(tool, e.text, e.base, e.zone)
		if err != nil {
			t.Fatalf("%q: %v", e.text, err)
		}
		if says != e.says && !*rewrite {
			t.Errorf("%q after %s in %s:\nsystemd says %s\nthe table has %s", e.text, e.base, e.zone, says, e.says)
		}
		entries[i].says = says
	}
	if !*rewrite {
		return
	}
	var b strings.Builder
	b.WriteString(head)
	for _, e := range entries {
		b.WriteString(e.String() + "\n")
	}
	if err := os.WriteFile(table, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
