package templates

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// verifyWith demands that systemd-analyze verify has nothing to say about unit files. Programs that this
// machine lacks are replaced: they are not what is looked at.
func verifyWith(t *testing.T, program string, files map[string]string) {
	t.Helper()
	dir := t.TempDir()
	args := []string{"verify", "--man=no", "--recursive-errors=no"}
	for name, text := range files {
		for _, p := range []string{"/usr/bin/podman", "/usr/bin/docker"} {
			text = strings.ReplaceAll(text, p, "/bin/true")
		}
		text = strings.ReplaceAll(text, "docker.service", "basic.target")
		path := filepath.Join(dir, strings.Replace(name, "@.", "@1.", 1))
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, dir) || strings.Contains(line, ".service:") {
			t.Errorf("systemd-analyze verify says %s", line)
		}
	}
}
