package daemon

import (
	"context"
	"errors"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestRuntimes: what is installed or removed is noticed at systemd's reload, or at the next tick, and
// no program is run as long as none changed.
func TestRuntimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		heard := make(chan []string)
		var mu sync.Mutex // a timer orders nothing between two goroutines
		is := map[string]string{"podman": "5"}
		var broken error
		var probes, fails int
		var told []map[string]string
		r := runtimes{
			heard: heard, told: maps.Clone(is),
			mark: func() string {
				mu.Lock()
				defer mu.Unlock()
				return is["podman"] + "/" + is["docker"]
			},
			probe: func(context.Context) (map[string]string, error) {
				mu.Lock()
				defer mu.Unlock()
				probes++
				return maps.Clone(is), broken
			},
			tell: func(now map[string]string) {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, now)
			},
			fail: func(error) {
				mu.Lock()
				defer mu.Unlock()
				fails++
			},
		}
		done := make(chan error)
		go func() { done <- r.run(ctx) }()
		step := func(what string, trigger func(), wantProbes, wantTold int) {
			t.Helper()
			trigger()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if probes != wantProbes || len(told) != wantTold {
				t.Errorf("%s: %d probes, told %v, want %d and %d", what, probes, told, wantProbes, wantTold)
			}
		}
		reload := func() { heard <- nil }
		tick := func() { <-time.NewTimer(runtimesTick).C }
		step("the first look", reload, 1, 0)
		step("another reload", reload, 1, 0)
		change := func(f func()) {
			mu.Lock()
			defer mu.Unlock()
			f()
		}
		change(func() { is["docker"] = "26" })
		step("a unit changed", func() { heard <- []string{"web.service"} }, 1, 0)
		step("installed", reload, 2, 1)
		change(func() { delete(is, "podman"); broken = errors.New("half removed") })
		step("does not answer", reload, 3, 1)
		change(func() { broken = nil })
		step("answers", tick, 4, 2)
		step("nothing new", tick, 4, 2)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run = %v", err)
		}
		if fails != 1 || len(told) != 2 || !maps.Equal(told[1], map[string]string{"docker": "26"}) {
			t.Errorf("%d failures, told %v, want 1 and docker at last", fails, told)
		}
	})
}
