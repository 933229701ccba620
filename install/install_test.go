package install

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tree lists the files under a folder.
func tree(t *testing.T, root string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, strings.TrimPrefix(path, root))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

func TestUnits(t *testing.T) {
	root := t.TempDir()
	steps := []struct {
		member, changed bool
		want            []string
	}{
		{true, true, []string{"/etc/systemd/logind.conf.d/50-flotilla.conf", "/etc/systemd/system/flotilla-agent.service", "/etc/systemd/system/flotilla-agent.service.d/10-member.conf", "/etc/systemd/system/flotilla-etcd.service"}},
		{true, false, []string{"/etc/systemd/logind.conf.d/50-flotilla.conf", "/etc/systemd/system/flotilla-agent.service", "/etc/systemd/system/flotilla-agent.service.d/10-member.conf", "/etc/systemd/system/flotilla-etcd.service"}},
		{false, true, []string{"/etc/systemd/logind.conf.d/50-flotilla.conf", "/etc/systemd/system/flotilla-agent.service"}},
		{false, false, []string{"/etc/systemd/logind.conf.d/50-flotilla.conf", "/etc/systemd/system/flotilla-agent.service"}},
	}
	for i, s := range steps {
		changed, err := Units(root, s.member)
		if err != nil || changed != s.changed {
			t.Errorf("step %d: Units(member %v) = %v, %v, want %v", i, s.member, changed, err, s.changed)
		}
		if d := cmp.Diff(s.want, tree(t, root)); d != "" {
			t.Errorf("step %d (-want +got):\n%s", i, d)
		}
	}
	if err := Remove(root); err != nil || len(tree(t, root)) != 0 {
		t.Errorf("Remove = %v, leaves %v", err, tree(t, root))
	}
}

// TestShutdownDelay: the file for logind says what the agent expects of it.
func TestShutdownDelay(t *testing.T) {
	text, err := files.ReadFile(logindConf)
	if want := fmt.Sprintf("\n[Login]\nInhibitDelayMaxSec=%d\n", int(ShutdownDelay.Seconds())); err != nil || !strings.HasSuffix(string(text), want) {
		t.Errorf("%s = %q, %v, want it to end with %q", logindConf, text, err, want)
	}
	root := t.TempDir()
	if DelaysShutdowns(root) {
		t.Error("DelaysShutdowns of an empty host, want not")
	}
	if _, err := Units(root, false); err != nil || !DelaysShutdowns(root) {
		t.Errorf("DelaysShutdowns after Units (%v) says no, want yes", err)
	}
}

func TestSelf(t *testing.T) {
	root := t.TempDir()
	program := filepath.Join(root, "download", "flotilla")
	if err := os.MkdirAll(filepath.Dir(program), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"one", "two"} {
		if err := os.WriteFile(program, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if did, err := Self(root, program); !did || err != nil {
			t.Errorf("Self = %v, %v, want true", did, err)
		}
		got, err := os.ReadFile(filepath.Join(root, Binary))
		if err != nil || string(got) != text {
			t.Errorf("%s = %q, %v, want %q", Binary, got, err, text)
		}
	}
	if did, err := Self(root, filepath.Join(root, Binary)); did || err != nil {
		t.Errorf("Self of the installed program = %v, %v, want false", did, err)
	}
	if fi, err := os.Stat(filepath.Join(root, Binary)); err != nil || fi.Mode().Perm() != 0o755 {
		t.Errorf("mode = %v, %v, want 0755", fi, err)
	}
	if got := len(tree(t, filepath.Join(root, "opt"))); got != 1 {
		t.Errorf("%d files beside the program, want none", got-1)
	}
}

// TestUnitsVerify has systemd read the service units, in a root with a program to run.
func TestUnitsVerify(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze here: install the package systemd")
	}
	for _, name := range []string{"flotilla-agent.service", "flotilla-etcd.service", "flotilla-join.service"} {
		text, err := files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(text), Binary, "/bin/true")), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", file).CombinedOutput()
		for line := range strings.SplitSeq(string(out), "\n") {
			if strings.Contains(line, name) {
				t.Errorf("systemd-analyze verify %s (%v): %s", name, err, line)
			}
		}
	}
}

// TestAgentLeavesNothing: what the agent started, such as journalctl, ends with it. Workloads
// are units of their own.
func TestAgentLeavesNothing(t *testing.T) {
	text, err := files.ReadFile("flotilla-agent.service")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "KillMode=") || !strings.Contains(string(text), "\nTimeoutStopSec=20\n") {
		t.Errorf("flotilla-agent.service does not end its whole control group in time:\n%s", text)
	}
}

// TestVagrantfile has Vagrant read the Vagrantfile at the top.
func TestVagrantfile(t *testing.T) {
	vagrant, err := exec.LookPath("vagrant")
	if err != nil {
		t.Skip("no vagrant here: install the package vagrant")
	}
	program := filepath.Join(t.TempDir(), "flotilla")
	if err := os.WriteFile(program, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, count := range []string{"1", "3", "5"} {
		cmd := exec.CommandContext(t.Context(), vagrant, "validate", "--ignore-provider")
		cmd.Dir = ".."
		cmd.Env = append(os.Environ(), "FLOTILLA_COUNT="+count, "FLOTILLA_BINARY="+program, "VAGRANT_HOME="+t.TempDir(), "VAGRANT_DOTFILE_PATH="+t.TempDir(), "VAGRANT_CHECKPOINT_DISABLE=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("vagrant validate with %s hosts: %v: %s", count, err, out)
		}
	}
}

// TestButaneUnitsAreOurs wants the Butane files to name every service unit of this folder.
func TestButaneUnitsAreOurs(t *testing.T) {
	for _, file := range []string{"flatcar.bu", "fedora-coreos.bu"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, unit := range []string{"flotilla-agent.service", "flotilla-etcd.service", "flotilla-join.service"} {
			if !strings.Contains(string(text), "contents_local: "+unit+"\n") {
				t.Errorf("%s does not carry %s", file, unit)
			}
		}
		if !strings.Contains(string(text), "path: "+Binary+"\n") {
			t.Errorf("%s does not carry %s", file, Binary)
		}
	}
}
