package reboots

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"flotilla/cluster"
)

// write puts files under a root.
func write(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

type engine struct {
	operation, version string
	present            bool
	err                error
}

func (e engine) Status(context.Context) (string, string, bool, error) {
	return e.operation, e.version, e.present, e.err
}
func (engine) Changed(context.Context) <-chan struct{} { return nil }

func uptime(d time.Duration) func() time.Duration { return func() time.Duration { return d } }

// TestSources: each source says yes, no, or that it does not know, and why.
func TestSources(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		what   string
		files  map[string]string
		engine engine
		up     time.Duration
		source Source
		want   cluster.NeedState
		why    string
	}{
		{what: "no file", source: Source{File: "/run/reboot-required"}, want: cluster.NeedNo},
		{what: "a file", files: map[string]string{"run/reboot-required": ""}, source: Source{File: "/run/reboot-required"}, want: cluster.NeedYes, why: "/run/reboot-required"},
		{
			what: "a file with packages", files: map[string]string{"run/reboot-required": "*** System restart required ***", "run/reboot-required.pkgs": "linux-image\nlibc6\nlinux-image\n"},
			source: Source{File: "/run/reboot-required"}, want: cluster.NeedYes, why: "/run/reboot-required (libc6, linux-image)",
		},
		{
			what: "many packages", files: map[string]string{"run/r": "", "run/r.pkgs": "a\nb\nc\nd\ne\nf\ng\n"},
			source: Source{File: "/run/r"}, want: cluster.NeedYes, why: "/run/r (a, b, c, d, e, and 2 more)",
		},
		{what: "a file below a file", files: map[string]string{"run": ""}, source: Source{File: "/run/reboot-required"}, want: cluster.NeedUnknown, why: "not a directory"},
		{what: "update_engine idle", engine: engine{operation: "UPDATE_STATUS_IDLE", present: true}, source: Source{UpdateEngine: true}, want: cluster.NeedNo},
		{what: "update_engine ready", engine: engine{operation: "UPDATE_STATUS_UPDATED_NEED_REBOOT", version: "4230.2.1", present: true}, source: Source{UpdateEngine: true}, want: cluster.NeedYes, why: "update_engine has installed 4230.2.1"},
		{what: "update_engine odd", engine: engine{operation: "x", present: true}, source: Source{UpdateEngine: true}, want: cluster.NeedUnknown, why: "no status of its"},
		{what: "update_engine silent", engine: engine{present: true, err: errors.New("no reply")}, source: Source{UpdateEngine: true}, want: cluster.NeedUnknown, why: "no reply"},
		{what: "update_engine absent", source: Source{UpdateEngine: true}, want: cluster.NeedUnknown, why: "not on the bus"},
		{what: "update_engine absent by default", source: Defaults()[2], want: cluster.NeedNo},
		{what: "the bus away by default", engine: engine{err: errors.New("no bus")}, source: Defaults()[2], want: cluster.NeedUnknown, why: "no bus"},
		{what: "young", up: 29 * day, source: Source{OlderThan: 30 * day}, want: cluster.NeedNo},
		{what: "old", up: 30 * day, source: Source{OlderThan: 30 * day}, want: cluster.NeedYes, why: "it has been up for more than 30 days"},
	} {
		root := t.TempDir()
		write(t, root, c.files)
		n := NewNeeds(Options{Root: root, Sources: []Source{c.source}, Engine: c.engine, Uptime: uptime(c.up)})
		need, _, problem := n.Look(t.Context())
		said := strings.Join(need.Reasons, "; ")
		if need.State != c.want || !strings.Contains(said, c.why) || c.why == "" && said != "" {
			t.Errorf("%s: Look = %v %q, want %v %q", c.what, need.State, said, c.want, c.why)
		}
		if (problem != "") != (c.want == cluster.NeedUnknown) {
			t.Errorf("%s: problem = %q", c.what, problem)
		}
	}
}

// TestF28CommandThatGivesNoAnswer: a command that is missing, hangs, ends in an undeclared way or is killed is
// unknown, which never reboots; its reason is told.
func TestF28CommandThatGivesNoAnswer(t *testing.T) {
	sh := func(line string, s Source) Source {
		s.Command = []string{"/bin/sh", "-c", line}
		return s
	}
	kured := Source{Yes: []int{0}, No: []int{1}}
	for _, c := range []struct {
		what   string
		source Source
		want   cluster.NeedState
		why    string
	}{
		{"yes", sh("exit 0", kured), cluster.NeedYes, "sh says so"},
		{"no", sh("exit 1", kured), cluster.NeedNo, ""},
		{"not found in a shell", sh("exit 127", kured), cluster.NeedUnknown, "exit status 127, which is neither yes nor no"},
		{"missing", Source{Command: []string{"/nonexistent/needs"}, Yes: []int{0, 127, -1}}, cluster.NeedUnknown, "no such file"},
		{"killed", sh("kill -9 $$", Source{Yes: []int{0, 137}}), cluster.NeedUnknown, "signal: killed"},
		{"hangs", sh("sleep 1000 & wait", Source{Yes: []int{0}, Timeout: 50 * time.Millisecond}), cluster.NeedUnknown, "did not end within 50ms"},
	} {
		n := NewNeeds(Options{Root: t.TempDir(), Sources: []Source{c.source}, Uptime: uptime(time.Hour)})
		need, _, _ := n.Look(t.Context())
		if said := strings.Join(need.Reasons, "; "); need.State != c.want || !strings.Contains(said, c.why) {
			t.Errorf("%s: Look = %v %q, want %v %q", c.what, need.State, said, c.want, c.why)
		}
	}
}

// TestKnownCommands: the exit statuses of the tools that are known, and a yes that needs a word.
func TestKnownCommands(t *testing.T) {
	tool := func(s Source) asked { q, _ := s.question(); return q }
	for _, c := range []struct {
		what string
		asks asked
		line string
		want cluster.NeedState
	}{
		{"rpm-ostree pending", tool(Source{RPMOSTree: true}), "exit 77", cluster.NeedYes},
		{"rpm-ostree clean", tool(Source{RPMOSTree: true}), "exit 0", cluster.NeedNo},
		{"rpm-ostree broken", tool(Source{RPMOSTree: true}), "exit 1", cluster.NeedUnknown},
		{"sysupdate pending", tool(Source{Sysupdate: true}), "exit 0", cluster.NeedYes},
		{"sysupdate clean", tool(Source{Sysupdate: true}), "exit 1", cluster.NeedNo},
		{"needs-restarting yes", tool(Source{NeedsRestarting: true}), "echo Reboot is required to fully utilize these updates.; exit 1", cluster.NeedYes},
		{"needs-restarting broken", tool(Source{NeedsRestarting: true}), "echo no such command >&2; exit 1", cluster.NeedUnknown},
		{"needs-restarting no", tool(Source{NeedsRestarting: true}), "exit 0", cluster.NeedNo},
	} {
		c.asks.command = []string{"/bin/sh", "-c", c.line}
		if got := c.asks.run(t.Context()); got.state != c.want {
			t.Errorf("%s: run = %v %q, want %v", c.what, got.state, got.why, c.want)
		}
	}
}

// TestNeedOfSeveralSources: one yes is a yes, one that does not know spoils a no, and commands are not run at each look.
func TestNeedOfSeveralSources(t *testing.T) {
	root := t.TempDir()
	count := filepath.Join(root, "count")
	now := time.Hour
	n := NewNeeds(Options{
		Root: root, Uptime: func() time.Duration { return now },
		Sources: []Source{{File: "/run/reboot-required"}, {Command: []string{"/bin/sh", "-c", "echo >> " + count + "; exit 9"}, Every: time.Minute}},
	})
	if need, _, _ := n.Look(t.Context()); need.State != cluster.NeedUnknown {
		t.Errorf("without a yes = %v, want unknown", need.State)
	}
	write(t, root, map[string]string{"run/reboot-required": ""})
	need, _, problem := n.Look(t.Context())
	if want := (cluster.Need{State: cluster.NeedYes, Reasons: []string{"/run/reboot-required"}}); !cmp.Equal(need, want) || problem == "" {
		t.Errorf("with one yes = %+v, %q, want %+v and the other's problem", need, problem, want)
	}
	runs := func() int {
		data, err := os.ReadFile(count)
		if err != nil {
			t.Fatal(err)
		}
		return len(data)
	}
	if runs() != 1 {
		t.Errorf("the command ran %d times within its minute, want once", runs())
	}
	now += time.Minute
	if n.Look(t.Context()); runs() != 2 {
		t.Errorf("the command ran %d times after its minute, want twice", runs())
	}
}
