package units

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// analyze has systemd read a unit file, and returns what it says of each line; 0 is the file as a whole.
func analyze(t *testing.T, name, text string) map[int]string {
	t.Helper()
	program, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze here: install the package systemd")
	}
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, _ := exec.CommandContext(t.Context(), program, "verify", "--man=no", file).CombinedOutput()
	said := map[int]string{}
	for line := range strings.Lines(string(out)) {
		rest, found := strings.CutPrefix(line, file+":")
		n := 0
		if found {
			_, _ = fmt.Sscanf(rest, "%d", &n)
		}
		if found || strings.Contains(line, name) {
			said[n] += line
		}
	}
	return said
}

// TestAmountsLikeSystemd: what systemd passes over in MemoryMax= and CPUQuota= is what verify refuses there.
func TestAmountsLikeSystemd(t *testing.T) {
	lines := []string{"[Service]", "ExecStart=/bin/true"}
	for _, v := range []string{
		"1G", "1.5G", "1G 512M", "1K1B", "1 G", "1048576", "1.5B", "1.", "+1G", "8E", "50%", "5‰", "infinity",
		"512m", "1GB", "0", ".5G", "1M 1G", "1G 1G", "16E", "-1", "x", "18446744073709551615",
		"100%", "110%", "0%", "100.01%", "0.001%", "%i", "%",
	} {
		lines = append(lines, "MemoryMax="+v)
	}
	for _, v := range []string{"50%", "150.5%", "150.25%", "5‰", "0.5‰", "7‱", "100000%", "2", "0%", "150.555%", "0.55‰", "-5%", "12 %", ".5%", "%", "%i", "x"} {
		lines = append(lines, "CPUQuota="+v)
	}
	said := analyze(t, "amounts.service", strings.Join(lines, "\n")+"\n")
	for i, line := range lines[2:] {
		err := Verify("amounts.service", []byte("[Service]\nExecStart=/bin/true\n"+line+"\n"))
		if theirs := said[i+3]; (err != nil) != (theirs != "") {
			t.Errorf("%s: Verify = %v, systemd says %q", line, err, theirs)
		}
	}
}

// TestLanguageFiles: the good files pass, and go-systemd reads them as we do.
func TestLanguageFiles(t *testing.T) {
	for unit, files := range languageFiles() {
		for _, in := range files {
			if err := Verify(unit, []byte(in)); err != nil {
				t.Errorf("Verify(%s, %q) = %v", unit, in, err)
			}
			if !sameForBoth([]byte(in)) {
				t.Errorf("%q is not compared with go-systemd", in)
			}
			compareReaders(t, mustParse(t, unit, in))
		}
	}
}

// TestSystemdPassesOver: systemd has nothing to say about our section, however full.
func TestSystemdPassesOver(t *testing.T) {
	for unit, files := range languageFiles() {
		for _, in := range files {
			if said := analyze(t, string(unit), in); len(said) > 0 {
				t.Errorf("systemd-analyze verify of %s:\n%s\nsays %v", unit, in, said)
			}
		}
	}
}

// languageFiles are good files with every option of [X-Flotilla] and [X-Fleet].
func languageFiles() map[Name][]string {
	const service = "[Unit]\nDescription=x\n[Service]\nExecStart=/bin/true %i\nMemoryMax=1G\nCPUQuota=150%\n"
	return map[Name][]string{
		"web@.service": {
			service + `[X-Flotilla]
MachineMetadata="disk=ssd" "cores>=4" "region in (eu, us)"
MachineMetadata=host!=%i
MachineMetadata=!retired
MachineMetadata=rack
MachineMetadata="kernel<7" "kernel>5.4" "load<=-1"
MachineMetadata=zone notin (a,b)
MaxPerHost=2
Spread=zone:hard rack
Prefer="disk=nvme" "gpu"
Memory=1.5G
CPU=0.5
Runtime=podman
Image=docker.io/library/nginx:1.27 registry:5000/app/%p:%i
Handover=start-first
Reschedule=on-failure
MaxUnavailable=25%
`,
			service + "[X-Flotilla]\nFence=yes\nConflicts=%p@*.service old.service\nMachineOf=db@%i.service\nHandover=stop-first\nReschedule=no\n",
			service + "[X-Flotilla]\nReplaces=%p-old@*.service old.service\n",
			service + "[X-Flotilla]\nGlobal=yes\nMaxUnavailable=3\nMemory=64M\nConflicts=x.service\n",
		},
		"old@.service": {
			service + "[X-Fleet]\nX-ConditionMachineID=0123abcd\nX-ConditionMachineBootID=1123abcd\nX-Conflicts=a*.service\nX-ConditionMachineMetadata=\"a=1\" \"a=2\"\n",
			service + "[X-Fleet]\nMachineOf=%p-peer@%i.service\nX-ConditionMachineOf=b.service\nReplaces=x.service\nGlobal=NO\nMachineMetadata=host=%i\n",
		},
	}
}
