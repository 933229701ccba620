package testbed

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// beatDir is where witnessed units write their beats, below the folder that all hosts share.
const beatDir = "beats"

// witnessed are the flags of a beating app: who it is, its fencing token, and one file
// per unit and host.
const witnessed = "-name ${INVOCATION_ID}/${FLOTILLA_FENCE} -beat /srv/lab/" + beatDir + "/%n@%H"

// BeatUnit runs the app as a plain process that beats every 10 ms.
func BeatUnit(flags, extra string) string {
	return fmt.Sprintf("[Unit]\nDescription=beats\n[Service]\nExecStart=/opt/bin/app %s %s\n%s", witnessed, flags, extra)
}

// BeatPod runs the beating app in a Podman container, in the unit's own cgroup. Patience
// is how many seconds podman stop waits for it before it kills. What a killed run left is removed
// first: --replace alone refuses (125) while Podman still cleans up after it.
func BeatPod(flags string, patience int, extra string) string {
	return fmt.Sprintf(`[Unit]
Description=beats in Podman
[Service]
Type=notify
NotifyAccess=all
ExecStartPre=-/usr/bin/podman rm --force --ignore --time 0 beat-%%p-%%i
ExecStart=/usr/bin/podman run --rm --replace --name beat-%%p-%%i --cgroups=split --sdnotify=conmon --network none -v /srv/lab:/srv/lab %s /app %s %s
ExecStop=/usr/bin/podman stop -t %d beat-%%p-%%i
Restart=always
RestartSec=100ms
%s`, Image, witnessed, flags, patience, extra)
}

// Run is one process of a witnessed unit: it was alive at least from its first beat to
// its last. Times are CLOCK_BOOTTIME, which all hosts of a lab share.
type Run struct {
	Host        string
	Invocation  string
	Token       int64 // FLOTILLA_FENCE; 0 = none
	First, Last time.Duration
}

// PrepareWitness makes the folder of beats, empty.
func (b *Bed) PrepareWitness() error {
	dir := filepath.Join(b.Lab.Shared(), beatDir)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	return os.Chmod(dir, 0o777) // whatever the umask
}

// Runs reads all runs of a unit on all hosts, in the order of their first beats.
func (b *Bed) Runs(unit string) ([]Run, error) {
	files, err := filepath.Glob(filepath.Join(b.Lab.Shared(), beatDir, unit+"@*"))
	if err != nil {
		return nil, err
	}
	var out []Run
	for _, file := range files {
		_, host, _ := strings.Cut(filepath.Base(file), unit+"@")
		runs, err := readBeats(file, host)
		if err != nil {
			return nil, fmt.Errorf("read the beats of %s on %s: %w", unit, host, err)
		}
		out = append(out, runs...)
	}
	slices.SortFunc(out, func(a, b Run) int { return cmp.Compare(a.First, b.First) })
	return out, nil
}

// readBeats parses one file. A last line that is still being written is left out.
func readBeats(file, host string) ([]Run, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []Run
	at := map[string]int{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) != 4 {
			continue
		}
		ms, err := strconv.ParseInt(words[0], 10, 64)
		if err != nil {
			return nil, err
		}
		when := time.Duration(ms) * time.Millisecond
		who := words[2] + "/" + words[3]
		i, known := at[who]
		if !known {
			invocation, token, _ := strings.Cut(words[2], "/")
			run := Run{Host: host, Invocation: invocation, First: when}
			if token != "" {
				if run.Token, err = strconv.ParseInt(token, 10, 64); err != nil {
					return nil, err
				}
			}
			i, out = len(out), append(out, run)
			at[who] = i
		}
		out[i].Last = when
	}
	return out, nil
}

// Overlap is for how long runs on different hosts were alive at the same time.
func Overlap(runs []Run) time.Duration {
	var sum time.Duration
	for i, a := range runs {
		for _, b := range runs[:i] {
			if a.Host != b.Host {
				sum += max(0, min(a.Last, b.Last)-max(a.First, b.First))
			}
		}
	}
	return sum
}

// Gaps are the stretches between the first beat and the last in which no run was alive.
// Runs are sorted by their first beats.
func Gaps(runs []Run) []Run {
	var out []Run
	for i, end := 0, time.Duration(0); i < len(runs); i++ {
		if i > 0 && runs[i].First > end {
			out = append(out, Run{First: end, Last: runs[i].First})
		}
		end = max(end, runs[i].Last)
	}
	return out
}

// Most is how many of the runs were alive at once at most.
func Most(runs []Run) int {
	most := 0
	for _, a := range runs {
		n := 0
		for _, b := range runs {
			if b.First <= a.First && a.First < b.Last {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// Boottime is the clock of the beats.
func Boottime() (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0, fmt.Errorf("read CLOCK_BOOTTIME: %w", err)
	}
	return time.Duration(t.Nano()), nil
}
