package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// mustGroup makes a group of a tree that is no kernel's.
func mustGroup(t *testing.T, root, path, procs string, kill bool) {
	t.Helper()
	dir := filepath.Join(root, path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(procs), 0o600); err != nil {
		t.Fatal(err)
	}
	if kill {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.kill"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestGroupsKill(t *testing.T) {
	root := t.TempDir()
	all := []string{
		"system.slice/a.service", "system.slice/system-web.slice/web@1.service", "other.slice/_x.service",
		"system.slice/b.service", "system.slice/b.service/a.service", "user.slice/user-0.slice/user@0.service/a.service", "a.service",
	}
	for _, path := range all {
		mustGroup(t, root, path, "", true)
	}
	if err := (Groups{root}).Kill([]string{"a.service", "web@1.service", "x.service", "absent.service"}); err != nil {
		t.Fatal(err)
	}
	killed := map[string]bool{all[0]: true, all[1]: true, all[2]: true, "a.service": true}
	for _, path := range all {
		data, err := os.ReadFile(filepath.Join(root, path, "cgroup.kill"))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := string(data) == "1", killed[path]; got != want {
			t.Errorf("%s: killed = %v, want %v", path, got, want)
		}
	}
}

// Without cgroup.kill each process is killed by its number, those of groups below too.
func TestGroupsKillOneByOne(t *testing.T) {
	root := t.TempDir()
	var procs []*exec.Cmd
	for range 2 {
		c := exec.Command("sleep", "60")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		procs = append(procs, c)
	}
	mustGroup(t, root, "system.slice/a.service", strconv.Itoa(procs[0].Process.Pid)+"\n", false)
	mustGroup(t, root, "system.slice/a.service/payload", strconv.Itoa(procs[1].Process.Pid)+"\n", false)
	if err := (Groups{root}).Kill([]string{"a.service"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range procs {
		if err := c.Wait(); err == nil || c.ProcessState.Success() {
			t.Errorf("process %d ended by itself: %v", c.Process.Pid, err)
		}
	}
}
