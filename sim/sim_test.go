package sim

import (
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
)

// number reads a setting of the environment.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s=%q: %v", name, text, err)
	}
	return n
}

// folder is for the agents' files, in memory where the machine has such a place.
func folder(t testing.TB) string {
	t.Helper()
	const shm = "/dev/shm"
	if dir, err := os.MkdirTemp(shm, "flotilla-sim-"); err == nil {
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		return dir
	}
	return t.TempDir()
}

// TestSeeds plays SIM_SEEDS seeds from SIM_FIRST on, or the one seed SIM_SEED.
func TestSeeds(t *testing.T) {
	first, n := number(t, "SIM_FIRST", 1), number(t, "SIM_SEEDS", 20)
	if os.Getenv("SIM_SEED") != "" {
		first, n = number(t, "SIM_SEED", 0), 1
	}
	for seed := first; seed < first+n; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			o := play(t, newSchedule(seed), seams{})
			if len(o.Broken) > 0 {
				t.Errorf("run again with SIM_SEED=%d\n%s", seed, o.Report())
			}
		})
	}
}

// play runs a schedule in a bubble of virtual time.
func play(t *testing.T, s *schedule, defects seams) Outcome {
	t.Helper()
	var o Outcome
	dir := folder(t)
	if os.Getenv("SIM_TRACE") != "" {
		s.opt.Trace = os.Stderr
		s.opt.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	synctest.Test(t, func(t *testing.T) {
		var err error
		if o, err = s.run(dir, defects); err != nil {
			t.Fatal(err)
		}
	})
	return o
}
